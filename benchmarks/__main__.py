"""Run every benchmark and print one table. Machines are noisy: read the ratios of one run."""

from rich.console import Console
from rich.table import Table

from benchmarks import (
    conversion,
    eight_raters,
    header_scan,
    label_latency,
    label_saving,
    preprocessing,
    records,
    report,
    screenshots,
    simulation,
    start_up,
    training,
)


def main():
    table = Table(title="qcbench beside a peer, same machine, same run")
    for column in ("what", "figure", "qcbench", "peer", "peer is", "ratio qcbench / peer"):
        table.add_column(column)
    measures = (
        start_up.measure,
        label_saving.measure,
        label_latency.measure,
        eight_raters.measure,
        preprocessing.measure,
        screenshots.measure,
        simulation.measure,
        training.measure,
        header_scan.measure,
        conversion.measure,
        records.measure,
        report.measure,
    )
    for measure in measures:
        for what, figure, ours, theirs, peer in measure():
            table.add_row(what, figure, f"{ours:.3g}", f"{theirs:.3g}", peer, f"{ours / theirs:.2f}")
    Console(width=160).print(table)


main()
