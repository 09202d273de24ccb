"""Fixtures for questions of permission: what another account of this machine sees."""

import multiprocessing
import os

import pytest


def _answer(connection, uid, gid, question):
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    connection.send(question())


@pytest.fixture
def as_account():
    """Return a function that asks a question under another account; only root can."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")

    def ask(uid, gid, question):
        # A fork, because the environment of the tests may be closed to that account.
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_answer, args=(there, uid, gid, question))
        process.start()
        there.close()
        try:
            return here.recv()
        finally:
            process.join()

    return ask
