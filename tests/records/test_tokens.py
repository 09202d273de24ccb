import pytest
import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.records import schema, tokens


def holder(database, token):
    with database.reading() as connection:
        return tokens.holder(connection, token)


def test_a_token_is_its_clients_and_only_its_hash_is_kept(database):
    token = tokens.mint(database, client="mriqc", scope="write")
    found = holder(database, token)
    assert (found.name, found.scope) == ("mriqc", "write")
    with database.reading() as connection:
        for table in schema.METADATA.sorted_tables:
            assert token not in str(connection.execute(sa.select(table)).all())


def test_a_scope_includes_those_before_it(database):
    client = holder(database, tokens.mint(database, client="a", scope="write"))
    assert [client.may(scope) for scope in tokens.SCOPES] == [True, True, True, False]


def test_a_client_may_have_several_and_loses_them_at_once(database):
    made = [tokens.mint(database, client="a", scope=scope) for scope in ("read", "write")]
    other = tokens.mint(database, client="b", scope="read")
    assert tokens.revoke(database, client="a") == 2
    assert [holder(database, token) for token in made] == [None, None]
    assert holder(database, other).name == "b"
    assert tokens.revoke(database, client="a") == 0


@pytest.mark.parametrize("token", ["", "x", "qcb_", "qcb_" + "a" * 43, "qcb_' OR 1=1 --", "a" * 100_000, "\0", "é"])
def test_what_is_no_token_opens_nothing(database, token):
    tokens.mint(database, client="a", scope="admin")
    assert holder(database, token) is None


def test_there_is_none_by_default(database):
    with database.reading() as connection:
        assert not tokens.any_in_force(connection)
    token = tokens.mint(database, client="a", scope="read")
    with database.reading() as connection:
        assert tokens.any_in_force(connection)
    assert token != tokens.mint(database, client="a", scope="read")
    tokens.revoke(database, client="a")
    with database.reading() as connection:
        assert not tokens.any_in_force(connection)


@pytest.mark.parametrize(("client", "scope"), [("A b", "read"), ("", "read"), ("a", "all"), ("a", "")])
def test_names_and_scopes_are_checked(database, client, scope):
    with pytest.raises(UsageError):
        tokens.mint(database, client=client, scope=scope)
