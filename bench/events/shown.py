"""The figures of the relay as text and as a picture."""

from pathlib import Path
from typing import Any


def head(machine: dict[str, Any], *, kafka: str) -> str:
    """Return what was measured on."""
    described = f"{machine['cpu']}, {machine['cores']} cores, load before: {machine['load_before']:.1f}"
    return f"{described}, {machine['measured_at']}, Kafka: {kafka}"


def part(name: str, found: Any) -> str:
    """Return one part of the figures as text."""
    shown = {"drains": _drains, "ceilings": _ceilings, "latency": _latency, "wake_up": _wake_up, "peers": _peers}
    return "\n" + shown[name](found)


def _drains(drains: list[dict[str, float]]) -> str:
    lines = ["a backlog drained       events/s   seconds   CPU us an event: relay  postgres  broker"]
    for one in drains:
        cpu = "".join(f"{one[f'cpu_us_{group}']:10.1f}" for group in ("relay", "postgres", "kafka"))
        rate = f"{one['per_second']:>10,.0f}{one['seconds']:>10.1f}"
        lines.append(f"  {one['relays']} relay(s), {one['events']:>9,}{rate}{'':>15}{cpu}")
    return "\n".join(lines)


def _ceilings(found: dict[str, Any]) -> str:
    names = {"producer": "bare producer, no database", "delete": "bare read and delete, no Kafka"}
    lines = ["ceilings                            events/s   CPU us an event (this process)"]
    for way, text in names.items():
        lines.append(f"  {text:<32}{found[way]['per_second']:>10,.0f}{found[way]['cpu_us']:>10.1f}")
    return "\n".join(lines)


def _latency(found: dict[str, Any]) -> str:
    cells = "   ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in found["seconds"].items())
    return (
        f"commit to acknowledgement at {found['per_second']:.0f} events/s ({found['events']:,} events, each measured)\n"
        f"  {cells}   longest {found['longest_seconds'] * 1000:.0f} ms   relay {found['relay_cores']:.2f} of a core"
    )


def _wake_up(found: dict[str, Any]) -> str:
    rates, cpu = found["commits_per_second"], found["writer_cpu_us"]
    return (
        "what waking the relay costs writers\n"
        f"  with notices {rates['with']:,.0f} commits/s, {cpu['with']:.0f} us of CPU each;"
        f" without {rates['without']:,.0f} and {cpu['without']:.0f}: {found['cost'] * 100:+.1f} %"
    )


def _peers(found: dict[str, Any]) -> str:
    lines = [f"other Django outboxes, {found['events']:,} events         events/s   CPU us an event (its process)"]
    lines += [
        f"  {name:<40}{one['per_second']:>10,.0f}{one['cpu_us']:>10.0f}" for name, one in found.items() if ", " in name
    ]
    return "\n".join(lines)


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw events a second beside the ceilings and the others, and the latencies."""
    import matplotlib as mpl  # noqa: PLC0415  a bench that keeps nothing draws nothing

    mpl.use("Agg")  # No screen.
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice of no screen

    rates = {f"{one['relays']} relay(s), {one['events']:,}": one["per_second"] for one in results.get("drains", [])}
    rates |= {f"bare {way}": one["per_second"] for way, one in results.get("ceilings", {}).items()}
    rates |= {name: one["per_second"] for name, one in results.get("peers", {}).items() if ", " in name}
    figure, (rate, wait) = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained", width_ratios=(3, 1))
    bars = rate.barh(list(rates), list(rates.values()), color="#b5651d")
    rate.bar_label(bars, fmt="{:,.0f}", fontsize="small", padding=3)
    rate.set(title=f"Events per second, Kafka: {results['kafka']}", xscale="log")
    rate.invert_yaxis()
    if "latency" in results:
        waited = {name: seconds * 1000 for name, seconds in results["latency"]["seconds"].items()}
        wait.bar_label(wait.bar(list(waited), list(waited.values()), color="#3f6b4f"), fmt="{:.1f}")
        wait.set(title="Commit to acknowledgement, ms, at 600/s")
    machine = results["machine"]
    figure.suptitle(f"{machine['cpu']}, {machine['cores']} cores, {machine['measured_at']}", fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
