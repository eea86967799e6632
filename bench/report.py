"""Figures as a table, as JSON and as a picture."""

import json
import os
import platform
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Plot = Callable[[dict[str, Any], Path], None]
PERCENTS = (50, 95, 99)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return p50, p95 and p99: of all values, the smallest that so many percent do not exceed."""
    ordered = sorted(values)
    return {f"p{percent}": ordered[max(0, -(-len(ordered) * percent // 100) - 1)] for percent in PERCENTS}


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it was before."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": model[0].partition(":")[2].strip() if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def table(results: dict[str, Any]) -> str:
    """Return everything as text, milliseconds throughout."""
    described = results["machine"]
    cpu = f"{described['cpu']}, {described['cores']} cores"
    parts = [
        f"{cpu}, load before: {described['load_before']:.1f}, {described['measured_at']}",
        _throughput(results),
        _latencies(results),
        _cpu(results),
    ]
    return "\n\n".join(parts)


def keep(results: dict[str, Any], *, name: str, plot: Plot | None = None) -> list[Path]:
    """Write the figures and the picture that `plot` draws, a purchase's by default, and return where."""
    RESULTS.mkdir(exist_ok=True)
    figures, picture = RESULTS / f"{name}.json", RESULTS / f"{name}.png"
    figures.write_text(json.dumps(results, indent=1) + "\n")
    (plot or plot_purchases)(results, picture)
    return [figures, picture]


def _throughput(results: dict[str, Any]) -> str:
    floors = results.get("floor") or {}
    lines = ["purchases per second (orders paid)"]
    for one in results["rounds"]:
        line = f"  {one['shoppers']:3d} shoppers  {one['purchases_per_second']:8.1f}"
        line += f"   {one['paid']} paid, {one['failed']} failed"
        lines.append(line)
    best = max(one["purchases_per_second"] for one in results["rounds"])
    for name, rate in floors.items():
        lines.append(f"  floor, {name:<32} {rate:8.1f}   {rate / best:5.1f} x the best of the above")
    return "\n".join(lines)


def _latencies(results: dict[str, Any]) -> str:
    counted = results["statements"]
    steps = list(results["rounds"][0]["latency_seconds"])
    heads = [f"{one['shoppers']} shoppers".center(23) for one in results["rounds"]]
    lines = [
        "milliseconds        " + " ".join(heads) + "  SQL statements",
        " " * 20 + " ".join("    p50     p95     p99" for _ in heads),
    ]
    for step in steps:
        cells = [_cells(one["latency_seconds"][step]) for one in results["rounds"]]
        lines.append(f"{step:<20}" + " ".join(cells) + f"  {counted['steps'].get(step, ''):>6}")
    behind = ", ".join(f"{name} {count}" for name, count in counted["behind"].items())
    lines.append(f"callback: {counted['steps']['callback']} statements; behind the web, clock ticks included: {behind}")
    return "\n".join(lines)


def _cells(latency: dict[str, float]) -> str:
    return "".join(f"{latency[f'p{percent}'] * 1000:{7 if percent == 50 else 8}.1f}" for percent in PERCENTS)


def _cpu(results: dict[str, Any]) -> str:
    groups = list(results["rounds"][0]["cpu_seconds_per_purchase"])
    lines = ["CPU milliseconds per purchase, the driver's own not among them"]
    for group in groups:
        cells = (one["cpu_seconds_per_purchase"][group] * 1000 for one in results["rounds"])
        lines.append(f"  {group:<18}" + " ".join(f"{cell:10.2f}" for cell in cells))
    sums = (sum(one["cpu_seconds_per_purchase"].values()) * 1000 for one in results["rounds"])
    lines.append(f"  {'all':<18}" + " ".join(f"{cell:10.2f}" for cell in sums))
    return "\n".join(lines)


def plot_purchases(results: dict[str, Any], path: Path) -> None:
    """Draw throughput, latencies and CPU side by side."""
    import matplotlib as mpl  # noqa: PLC0415  a bench that keeps nothing draws nothing

    mpl.use("Agg")  # No screen.
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice of no screen

    rounds = results["rounds"]
    labels = [str(one["shoppers"]) for one in rounds]
    figure, (rate, latency, cpu) = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    rate.bar(labels, [one["purchases_per_second"] for one in rounds], color="#b5651d")
    rate.set(title="Purchases per second", xlabel="shoppers at once")
    for step in rounds[0]["latency_seconds"]:
        latency.plot(labels, [one["latency_seconds"][step]["p99"] * 1000 for one in rounds], marker="o", label=step)
    latency.set(title="p99, milliseconds", xlabel="shoppers at once", yscale="log")
    latency.legend(fontsize="small")
    bottom = [0.0] * len(rounds)
    for group in rounds[0]["cpu_seconds_per_purchase"]:
        heights = [one["cpu_seconds_per_purchase"][group] * 1000 for one in rounds]
        cpu.bar(labels, heights, bottom=bottom, label=group)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    cpu.set(title="CPU milliseconds per purchase", xlabel="shoppers at once")
    cpu.legend(fontsize="small")
    described = results["machine"]
    figure.suptitle(f"{described['cpu']}, {described['cores']} cores, {described['measured_at']}", fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
