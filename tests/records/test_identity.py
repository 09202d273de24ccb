import threading
import time

from qcbench.records import identity


def test_two_that_begin_at_once_have_one_key(tmp_path, monkeypatch):
    made = identity.secrets.token_hex

    def slowly(n_bytes):
        time.sleep(0.2)
        return made(n_bytes)

    monkeypatch.setattr(identity.secrets, "token_hex", slowly)
    path, keys = tmp_path / "records" / "site.key", []
    threads = [threading.Thread(target=lambda: keys.append(identity.site_key(path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys == [identity.site_key(path)] * 2
    assert path.stat().st_mode & 0o777 == 0o600
