"""From screenshots to a consensus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qcbench.pipeline.extras import StudyLike, extra
from qcbench.study import Study
from qcbench.summary import Summary

if TYPE_CHECKING:
    pass


def label(
    study: StudyLike, *, rater: str, port: int | None = None, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve the labeller for one rater through voila on loopback until it is interrupted.

    `on_ready` is called with the address once the page can be opened.
    """
    with extra("label"):
        from qcbench.widgets import serve
    serve.serve(Study.of(study), rater=rater, port=port, on_ready=on_ready)


def serve(
    study: StudyLike,
    *,
    proxy_secret: str | Path,
    port: int | None = None,
    socket: str | Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve all raters of a study behind an authenticating proxy until it is interrupted."""
    with extra("label"):
        from qcbench.widgets import proxied
    proxied.serve_all(Study.of(study), secret_file=proxy_secret, port=port, socket_path=socket, on_ready=on_ready)


def write_config(study: StudyLike, folder: str | Path, *, behind: str) -> list[Path]:
    """Write the ready configuration of a proxy (nginx, caddy) or of jupyterhub, and the proxy's secret."""
    with extra("label"):
        from qcbench.widgets import deploy
    return deploy.write(Study.of(study), folder, behind=behind)


def preview(
    protocol: str,
    *,
    pictures: str | Path | None = None,
    port: int | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the labeller with a protocol on sample pictures until it is interrupted; nothing that is noted is kept."""
    with extra("label"):
        from qcbench.annotate import preview as room
        from qcbench.widgets import serve
    with room.study(protocol, Path(pictures) if pictures else None) as study:
        serve.serve(study, rater=room.RATER, port=port, on_ready=on_ready)


def exemplar(study: StudyLike, image_id: str, *, criterion: str, value: str) -> Summary:
    """Make the picture of an image the exemplar of a choice of the protocol: folder ``exemplars/``."""
    from qcbench.annotate import exemplars

    return exemplars.put(Study.of(study), image_id, criterion=criterion, value=value)


def review(
    study: StudyLike, *, reviewer: str, port: int | None = None, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve the joint review to one reviewer through voila on loopback until it is interrupted."""
    with extra("label"):
        from qcbench.widgets import serve
    serve.serve(Study.of(study), rater=reviewer, port=port, notebook="03_review.ipynb", on_ready=on_ready)


def coordinate(study: StudyLike, *, port: int | None = None, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve the coordinator's page through voila on loopback until it is interrupted."""
    with extra("label"):
        from qcbench.widgets import serve
    serve.serve(Study.of(study), port=port, notebook="08_coordinate.ipynb", on_ready=on_ready)


def import_labels(
    study: StudyLike, file: str | Path, *, rater: str | None = None, columns: Mapping[str, str] | None = None
) -> Summary:
    """Read labels from CSV, TSV or a file of the Quality_Control_Interface.

    `columns` says for our columns what the file calls them.
    """
    from qcbench.annotate import exchange

    return exchange.import_labels(Study.of(study), Path(file), rater=rater, columns=columns)


def export_labels(study: StudyLike, folder: str | Path, *, form: str = "csv") -> Summary:
    """Write labels and consensus for other programs: ``csv`` or ``bids``."""
    from qcbench.annotate import export

    return export.export_labels(Study.of(study), Path(folder), form=form)


def agreement(study: StudyLike) -> Summary:
    """Compute how far the raters agree: table `agreement`."""
    with extra("report"):
        from qcbench.annotate import agreement as room
    return room.agreement(Study.of(study))


def consensus(study: StudyLike) -> Summary:
    """Combine the raters' labels: tables `consensus` and ``reviews/open.parquet``."""
    from qcbench.annotate import consensus as room

    return room.consensus(Study.of(study))
