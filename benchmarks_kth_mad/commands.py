"""What each command does, says and leaves behind."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from benchmarks_kth_mad.choice import by_turns
from benchmarks_kth_mad.console import progress_bar, shows_progress
from benchmarks_kth_mad.data.sampling import ClipShape
from benchmarks_kth_mad.errors import BenchmarkError, ClipsFailed
from benchmarks_kth_mad.evaluation import Unit, load_curves, load_explained, load_rows
from benchmarks_kth_mad.evaluation import predict as predict_clips
from benchmarks_kth_mad.evaluation.attributing import Asked, attribute_clips
from benchmarks_kth_mad.evaluation.conditions import data_checksum, software
from benchmarks_kth_mad.evaluation.evaluating import evaluate_clips
from benchmarks_kth_mad.evaluation.failures import told
from benchmarks_kth_mad.evaluation.kept_maps import KeptMaps
from benchmarks_kth_mad.evaluation.machine import Machine
from benchmarks_kth_mad.evaluation.measuring import Played
from benchmarks_kth_mad.files import make_folder, sweep, whole_file
from benchmarks_kth_mad.methods import Options
from benchmarks_kth_mad.models import Checkpoint, Settings, load_checkpoint, save_checkpoint
from benchmarks_kth_mad.processes.joined import joined
from benchmarks_kth_mad.processes.together import launched
from benchmarks_kth_mad.rendering.acting import RenderSettings
from benchmarks_kth_mad.rendering.render import render_kth
from benchmarks_kth_mad.rendering.render_mad import render_mad
from benchmarks_kth_mad.rendering.thermal import MADSettings
from benchmarks_kth_mad.runs import Manifest, Run, Source, require
from benchmarks_kth_mad.training import Recipe, resolve_device
from benchmarks_kth_mad.training import train as train_model
from benchmarks_kth_mad.training.unfinished import Unfinished
from captum_video.flow import flow_magnitude


def render(
    root: str,
    actions: Sequence[str],
    settings: RenderSettings | MADSettings,
    overwrite: bool,
) -> None:
    """Write a synthetic set, in the layout that the settings are for."""
    with progress_bar(desc="render", unit="video") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        if isinstance(settings, MADSettings):
            render_mad(root, actions, settings, overwrite, show)
        else:
            render_kth(root, actions, settings, overwrite, show)
    print(f"rendered {settings.persons} persons x {', '.join(actions)} into {root}")


def train(
    run: Run,
    source: Source,
    clip: ClipShape,
    model: str,
    weights: str | None,
    settings: Settings,
    recipe: Recipe,
    fresh: bool = False,
) -> None:
    """Train on the training split, test once on the test split, keep model and manifest.

    What an ended training of the same conditions has left is gone on with, unless ``fresh``.
    """
    training_set = source.dataset("train", clip, random_start=True, seed=recipe.seed)
    test_set = source.dataset("test", clip)
    make_folder(run.folder)  # or an hour of training ends at a folder that can not be
    conditions = {
        "model": model,
        "weights": weights,
        "settings": dict(settings),
        "clip": asdict(clip),
        "source": asdict(source),
        "recipe": asdict(replace(recipe, device=resolve_device(recipe.device))),
        "processes": launched().world,
        "data": data_checksum(training_set, range(len(training_set))),
        "versions": software(),
    }
    unfinished = Unfinished(run.unfinished, json.loads(json.dumps(conditions)), fresh)
    if launched().rank == 0:
        sweep(run.folder)
        if fresh:
            run.drop(run.unfinished)
    if done := unfinished.epochs():
        print(f"goes on after epoch {done} of {recipe.epochs} of a training that was ended")
    trained = train_model(
        model,
        training_set,
        test_set,
        recipe=recipe,
        weights=weights,
        show_progress=shows_progress(),
        settings=settings,
        unfinished=unfinished,
    )
    if launched().rank > 0:
        return  # the first of several processes keeps what all have trained
    manifest = Manifest(
        source, model, recipe.seed, trained.accuracy, trained.clips, trained.unseen_persons
    )
    _keep(run, trained.checkpoint, manifest)
    run.drop(run.unfinished)
    print(f"trained {model} on {len(training_set)} clips, kept as {run.checkpoint}")
    print(manifest.claim)


def import_study(run: Run, source: Source, checkpoint: Checkpoint, seed: int, device: str) -> None:
    """Test a network that was trained elsewhere once on the test split, keep it as a run."""
    rows = predict_clips(checkpoint, source.dataset("test", checkpoint.clip), device)
    right = (rows["label"] == rows["predicted"]).mean()
    manifest = Manifest(source, checkpoint.name, seed, float(right), len(rows), unseen_persons=())
    checkpoint.model.cpu()
    _keep(run, checkpoint, manifest)
    parts = ", ".join(f"{name} {value}" for name, value in checkpoint.model.settings.items())
    print(f"took {checkpoint.name} ({parts}), kept as {run.checkpoint}")
    print(f"{manifest.claim} (Whom it was trained on, its file does not tell.)")


def predict(run: Run, source: Source, split: str, device: str) -> None:
    """Classify a split, keep one row per clip."""
    checkpoint = checkpoint_of(run)
    rows = predict_clips(checkpoint, source.dataset(split, checkpoint.clip), device)
    with whole_file(run.predictions) as path:
        rows.to_csv(path, index=False)
    right = (rows["label"] == rows["predicted"]).sum()
    print(f"{right} of {len(rows)} clips of split {split} right, rows in {run.predictions}")
    manifest = run.load_manifest()
    if source == manifest.source:
        print(manifest.claim)


def attribute(
    run: Run,
    source: Source,
    methods: Sequence[str],
    options: Options,
    n_clips: int,
    device: str,
    precision: str = "float32",
    fresh: bool = False,
    clips_per_pass: int | None = None,
) -> None:
    """Explain clips of the test split, keep clips and maps.

    Raises:
        ClipsFailed: at the end, where some clips could not be explained.
    """
    if n_clips < 1:
        raise BenchmarkError(f"--clips: expected at least 1, got {n_clips}")
    with joined() as processes:
        checkpoint = checkpoint_of(run)
        dataset = source.dataset("test", checkpoint.clip)
        asked = Asked(by_turns(dataset, n_clips), list(dict.fromkeys(methods)), options)
        machine = Machine(device, precision, processes, clips_per_pass)
        failed = attribute_clips(run, checkpoint, dataset, asked, machine, fresh)
        n_asked = len(asked.chosen)
        print(
            f"explained {n_asked - len(failed)} clips by {', '.join(methods)}: {run.attributions}"
        )
    if failed and processes.is_first:
        raise ClipsFailed(told(failed, n_asked))


def evaluate(
    run: Run,
    metrics: Sequence[str],
    unit: Unit,
    n_steps: int,
    baseline: str,
    device: str,
    precision: str = "float32",
    fresh: bool = False,
    clips_per_pass: int | None = None,
) -> None:
    """Measure the maps, keep one row per metric, method and clip, with its curve.

    Raises:
        ClipsFailed: at the end, where some clips have no area, and the error in its place.
    """
    with joined() as processes:
        machine = Machine(device, precision, processes, clips_per_pass)
        played = Played(unit, n_steps, baseline)
        n_areas, failed = evaluate_clips(run, checkpoint_of(run), metrics, played, machine, fresh)
        print(f"measured {n_areas} areas: {run.rows}, and without curves {run.rows_as_text}")
    if failed and processes.is_first:
        raise ClipsFailed(told(failed, len(KeptMaps(run).names)))


def report(run: Run, n_pictures: int, n_html_clips: int = 4, seed: int = 0) -> None:
    """Print the tables, draw the pictures, write the report and its page."""
    from benchmarks_kth_mad import report as reports

    manifest, curves, rows = run.load_manifest(), load_curves(run), load_rows(run)
    explained = load_explained(run, max(1, n_pictures, n_html_clips))
    means, compared = reports.mean_areas(rows, seed), reports.comparisons(rows, seed)
    unit = str(rows["unit"].iloc[0])
    names = reports.draw(run, explained, curves, manifest.source.classes, unit, n_pictures)
    reports.write_tables(run, means, compared)
    reports.write_report(run, manifest, rows, means, compared, names)
    made = reports.conditions_of(run)
    reports.write_page(run, manifest, explained, rows, curves, means, compared, n_html_clips, made)
    print(f"\n{reports.as_text(reports.mean_table(means))}\n")
    if not compared.empty:
        print(f"{reports.as_text(reports.comparison_table(compared))}\n")
    print(f"{manifest.claim}\n\nreport    {run.report}\npage      {run.page}")
    for name in names:
        print(f"picture   {run.pictures / name}")


def motion(
    run: Run, flow: str, threshold: float, baseline: str, n_pictures: int, seed: int
) -> None:
    """Compare the maps with optical flow, print the table, draw the pictures over time."""
    from benchmarks_kth_mad.motion_agreement import agreement_rows, agreement_table, flow_of
    from benchmarks_kth_mad.report.motion import draw_motion

    checkpoint, explained, manifest = checkpoint_of(run), load_explained(run), run.load_manifest()
    if not threshold >= 0:
        raise BenchmarkError(f"--moving: expected at least 0 pixels per frame, got {threshold}")
    found = flow_of(explained, flow)
    rows = agreement_rows(explained, flow_magnitude(found), threshold)
    with whole_file(run.motion) as path:
        rows.to_csv(path, index=False)
    table = agreement_table(rows, seed)
    print(f"\n{table.to_markdown(index=False, floatfmt='.3f')}\n")
    print(
        f"energy by chance: {rows['moving area'].mean():.3f}, the share of pixels that move by more "
        f"than {threshold} per frame\n{manifest.claim}\n\nrows      {run.motion}"
    )
    for name in draw_motion(run, checkpoint.model, explained, found, baseline, n_pictures):
        print(f"picture   {run.pictures / name}")


def _keep(run: Run, checkpoint: Checkpoint, manifest: Manifest) -> None:
    """Write a new model and what it was made with; what came of an older one goes."""
    run.drop(
        run.manifest,
        run.predictions,
        run.attributions,
        run.evaluation,
        run.rows,
        run.rows_as_text,
        run.motion,
        *run.reports,
    )
    save_checkpoint(run.checkpoint, checkpoint)
    run.save_manifest(manifest)


def checkpoint_of(run: Run) -> Checkpoint:
    """The model of a run, which must be the one that its manifest tells of."""
    require(run.checkpoint, "train")
    checkpoint, expected = load_checkpoint(run.checkpoint), run.load_manifest().source.classes
    if checkpoint.classes != expected:
        raise BenchmarkError(
            f"{run.checkpoint}: expected the model of {run.manifest}, of classes "
            f"{', '.join(expected)}, got one of {', '.join(checkpoint.classes)}; run train again"
        )
    return checkpoint
