"""A plan: what is to be done, in parts, what each takes, and how that is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import pandas as pd

from benchmarks_kth_mad.planning.cost import Cost
from benchmarks_kth_mad.planning.sizes import in_words


@dataclass(frozen=True)
class Part:
    """One thing that is done to each of so many clips.

    Attributes:
        what: a method, or a metric and the method whose maps it measures.
        clips: how many.
        cost: of one clip.
        network: whose passes these are; empty where there is one only.
        finished: clips of which this is done already.
    """

    what: str
    clips: int
    cost: Cost
    network: str = ""
    finished: int = 0

    @property
    def to_do(self) -> int:
        """Clips of which this is still to be done."""
        return self.clips - self.finished


@dataclass(frozen=True)
class Plan:
    """What a command is going to do.

    Attributes:
        title: in one line.
        parts: one after the other.
        kept: bytes by what they hold.
        notes: what is to be known besides.
    """

    title: str
    parts: Sequence[Part]
    kept: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Devices:
    """How many there are, and how fast each is.

    Attributes:
        forward: passes per second of one, as the command ``speed --of rate`` measures them; None if not
            known.
        backward: likewise.
        count: over which clips are dealt.
    """

    forward: float | None = None
    backward: float | None = None
    count: int = 1

    def hours(self, parts: Sequence[Part]) -> float | None:
        """Hours of the device that has most clips; None where a rate that is needed is not known."""
        seconds = 0.0
        for part in parts:
            clips = -(-part.to_do // self.count)
            for passes, rate in (
                (part.cost.forward, self.forward),
                (part.cost.backward, self.backward),
            ):
                if clips * passes and rate is None:
                    return None
                seconds += float(clips * passes) / (rate or 1)
        return seconds / 3600


def plan_table(plan: Plan) -> pd.DataFrame:
    """One row per part, with passes per clip and of all clips that are to do, and their sum.

    All is text; "≤" stands before what is a bound, "~" before what is known about only.
    """
    rows = []
    for part in plan.parts:
        sign = {"": "", "at most": "≤ ", "about": "~ "}[part.cost.sure]
        rows.append(
            {
                "network": part.network,
                "what": part.what,
                "clips": f"{part.clips:,}",
                "finished": f"{part.finished:,}",
                "forward / clip": sign + _number(part.cost.forward),
                "backward / clip": sign * bool(part.cost.backward) + _number(part.cost.backward),
                "heads / clip": sign + f"{part.cost.heads:,}",
                "forward": sign + _number(part.cost.forward * part.to_do),
                "backward": sign * bool(part.cost.backward)
                + _number(part.cost.backward * part.to_do),
            }
        )
    rows.append(_sum_of(plan.parts))
    table = pd.DataFrame(rows)
    used = {
        "network": any(part.network for part in plan.parts),
        "finished": any(part.finished for part in plan.parts),
        "heads / clip": any(part.cost.heads for part in plan.parts),
    }
    return table.drop(columns=[name for name, is_used in used.items() if not is_used])


def plan_text(plan: Plan, devices: Devices) -> str:
    """The whole plan: table, bytes, what is uncertain and why, and hours where rates are known."""
    table = plan_table(plan)
    sides = ["left" if name in ("network", "what") else "right" for name in table.columns]
    lines = [plan.title, ""]
    lines += [table.to_markdown(index=False, disable_numparse=True, colalign=sides), ""]
    whys = dict.fromkeys(
        f"{part.what}: {part.cost.sure} so many ({part.cost.why})"
        for part in plan.parts
        if part.cost.sure
    )
    lines += [*whys, *plan.notes]
    lines += [f"{what}: {in_words(count)}" for what, count in plan.kept.items()]
    return "\n".join([*lines, _hours_text(plan, devices)])


def _hours_text(plan: Plan, devices: Devices) -> str:
    if devices.forward is None:
        return "no hours without --rate; speed --of rate measures it on a device"
    hours = devices.hours(plan.parts)
    if hours is None:
        return "no hours: there are backward passes, so --rate needs their rate as well, as its second number"
    rates = f"{devices.forward:g} forward"
    if devices.backward is not None:
        rates += f" and {devices.backward:g} backward"
    over = "one device" if devices.count == 1 else f"each of {devices.count} devices"
    return f"hours: {hours:,.1f} of {over}, at {rates} passes a second"


def _sum_of(parts: Sequence[Part]) -> dict[str, str]:
    forward = sum((part.cost.forward * part.to_do for part in parts), Fraction(0))
    backward = sum((part.cost.backward * part.to_do for part in parts), Fraction(0))
    names = ("network", "what", "clips", "finished", "forward / clip", "backward / clip")
    return {
        **dict.fromkeys((*names, "heads / clip"), ""),
        "what": "all",
        "forward": _sign(parts, "forward") + _number(forward),
        "backward": _sign(parts, "backward") + _number(backward),
    }


def _sign(parts: Sequence[Part], name: str) -> str:
    """What stands before a sum: that of its least certain part."""
    sure = {part.cost.sure for part in parts if getattr(part.cost, name)}
    return "~ " if "about" in sure else "≤ " if "at most" in sure else ""


def _number(count: Fraction) -> str:
    return f"{int(count):,}" if count.denominator == 1 else f"{float(count):,.2f}"
