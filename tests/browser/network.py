"""A network between the browser and voila that is slow, breaks, and comes back: a proxy on loopback."""

import asyncio
import contextlib
import threading


class Network:
    """Forwards TCP connections to a port of 127.0.0.1; `port` is where the browser goes instead.

    ``with Network(port, delay_s=0.04) as network``: what is sent arrives that much later, each way.
    """

    def __init__(self, target, *, delay_s=0.0):
        self._target = target
        self.delay_s = delay_s
        self.port = None
        self._is_cut = False
        self._is_held = False
        self._break_before = None
        self.has_broken = False
        self._writers = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._call(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error):
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self):
        """Break every connection and refuse new ones until `restore`."""
        self._is_cut = True
        self._call(self._break())

    def hold(self):
        """Let nothing through, without a word to either side, until `restore`; it is delivered then."""
        self._is_held = True

    def restore(self):
        self._is_cut = self._is_held = False

    def break_before(self, content):
        """Break every connection just before the server's next bytes that hold `content`; new ones are let in."""
        self._break_before, self.has_broken = content, False

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        return await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def _stop(self):
        self._server.close()
        await self._break()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _break(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connect(self, reader, writer):
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, to_writer}
        self._writers |= pair
        try:
            await asyncio.gather(self._carry(reader, to_writer, False), self._carry(to_reader, writer, True))
        except asyncio.CancelledError:
            pass  # the test is over, and this task has nobody to tell
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _carry(self, reader, writer, is_answer):
        """Carry bytes one way, each `delay_s` after it came, in their order and as fast as they came."""
        on_the_way = asyncio.Queue()
        delivery = asyncio.ensure_future(self._deliver(on_the_way, writer))
        try:
            while content := await reader.read(2**16):
                if is_answer and self._break_before and self._break_before in content:
                    self._break_before, self.has_broken = None, True
                    await self._break()
                    return
                on_the_way.put_nowait((self._loop.time() + self.delay_s, content))
            on_the_way.put_nowait((self._loop.time() + self.delay_s, b""))
            await delivery
        except OSError:
            pass
        finally:
            delivery.cancel()

    async def _deliver(self, on_the_way, writer):
        with contextlib.suppress(OSError):
            while True:
                due, content = await on_the_way.get()
                await asyncio.sleep(max(due - self._loop.time(), 0))
                while self._is_held:
                    await asyncio.sleep(0.05)
                if not content:
                    writer.write_eof()
                    return
                writer.write(content)
                await writer.drain()
