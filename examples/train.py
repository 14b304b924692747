#!/usr/bin/python3
"""Trains a small network (64-32-10) on handwritten digits, the same bits every time.

Needs Python and numpy only. Reads DIR/train/*.csv (64 pixels 0..16 and the digit per line), writes
model.bin and metrics.json. The same data, seed and options give bit-identical files on every x86-64
machine with AVX2: one thread, float64, a seeded generator of our own, instructions that all of them
have, and nothing that depends on time.

In an Indexed Job the rank is the completion index: it picks the learning rate from a list
(a sweep) and, with --world, the share of the files this rank trains on (a gang).
"""

import argparse
import json
import os
import struct
import sys
import time

# One thread, set before numpy loads its linear algebra: sums are then always added in one order.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"):
    os.environ[_name] = "1"

# A rented machine has another processor, and numpy's loops for AVX-512 round differently.
os.environ["NPY_DISABLE_CPU_FEATURES"] = "AVX512F,AVX512CD,AVX512_SKX,AVX512_CLX,AVX512_CNL,AVX512_ICL"

import numpy as np  # noqa: E402

PIXELS, HIDDEN, DIGITS = 64, 32, 10
BATCH = 16
MOMENTUM = 0.9
MAGIC = b"SPWMLP1\0"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="directory with train/*.csv")
    parser.add_argument("--out", metavar="DIR", help="where model.bin and metrics.json go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument(
        "--learning-rate", default="0.02", metavar="RATE[,RATE...]", help="a list is indexed by rank"
    )
    parser.add_argument(
        "--rank", type=int, help="this worker's number; default: the Job's completion index"
    )
    parser.add_argument("--world", type=int, default=1, help="number of workers sharing the files")
    parser.add_argument(
        "--fail-with-code", type=int, metavar="CODE", help="give up after half of the epochs"
    )
    parser.add_argument(
        "--hold-seconds", type=float, default=0, help="then keep computing for so long in all"
    )
    parser.add_argument(
        "--duty", type=float, default=1.0, help="share of the hold time that is spent computing"
    )
    args = parser.parse_args()
    if args.rank is None and "JOB_COMPLETION_INDEX" in os.environ:
        args.rank = int(os.environ["JOB_COMPLETION_INDEX"])
    if args.epochs < 1 or args.world < 1 or not 0 < args.duty <= 1:
        parser.error("--epochs and --world must be at least 1, --duty above 0 and at most 1")
    return args


def load(directory, rank, world):
    """Pixels scaled to 0..1 and digits, from this rank's share of the files in name order."""
    folder = os.path.join(directory, "train")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".csv"))[rank % world :: world]
    if not names:
        sys.exit(f"{folder}: no .csv file for rank {rank} of {world}")
    rows = np.concatenate(
        [np.loadtxt(os.path.join(folder, n), delimiter=",", ndmin=2) for n in names]
    )
    if rows.shape[1] != PIXELS + 1:
        sys.exit(f"{folder}: a line has {rows.shape[1]} columns, {PIXELS + 1} were expected")
    return rows[:, :PIXELS] / 16.0, rows[:, PIXELS].astype(np.int64), len(names)


def forward(model, x):
    hidden = np.maximum(x @ model[0] + model[1], 0.0)
    scores = hidden @ model[2] + model[3]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, scores / scores.sum(axis=1, keepdims=True)


def quality(model, x, y):
    share = forward(model, x)[1]
    loss = float(-np.log(share[np.arange(len(y)), y] + 1e-300).mean())
    return loss, float((share.argmax(axis=1) == y).mean())


def train_epoch(model, speed, x, y, rate, order):
    for start in range(0, len(order), BATCH):
        pick = order[start : start + BATCH]
        hidden, delta = forward(model, x[pick])
        delta[np.arange(len(pick)), y[pick]] -= 1.0
        delta /= len(pick)
        back = (delta @ model[2].T) * (hidden > 0.0)
        slopes = (x[pick].T @ back, back.sum(axis=0), hidden.T @ delta, delta.sum(axis=0))
        for part, moving, slope in zip(model, speed, slopes):
            moving *= MOMENTUM
            moving -= rate * slope
            part += moving


def train(args, x, y, rate):
    # numpy promises the stream of a bit generator, so 64 raw bits per number, made a float here.
    bits = np.random.PCG64(args.seed)
    uniform = lambda n: (bits.random_raw(n) >> np.uint64(11)) * 2.0**-53  # noqa: E731
    glorot = lambda a, b: ((uniform(a * b) * 2 - 1) * (6.0 / (a + b)) ** 0.5).reshape(a, b)  # noqa: E731
    model = [glorot(PIXELS, HIDDEN), np.zeros(HIDDEN), glorot(HIDDEN, DIGITS), np.zeros(DIGITS)]
    speed = [np.zeros_like(part) for part in model]
    stop = args.epochs // 2 if args.fail_with_code is not None else args.epochs
    for epoch in range(1, stop + 1):
        train_epoch(model, speed, x, y, rate, np.argsort(uniform(len(y)), kind="stable"))
        if epoch == 1 or epoch % max(1, args.epochs // 10) == 0 or epoch == stop:
            loss, accuracy = quality(model, x, y)
            print(f"epoch {epoch:4d}  loss {loss:.6f}  accuracy {accuracy:.4f}", flush=True)
    return model


def save(args, directory, model, x, y, rate, files):
    """model.bin: magic, seed, rank, number of parts; then rows, columns and float64 of each part."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "model.bin"), "wb") as out:
        out.write(MAGIC + struct.pack("<qqI", args.seed, args.rank or 0, len(model)))
        for part in model:
            table = np.atleast_2d(part)
            out.write(struct.pack("<II", *table.shape) + table.astype("<f8").tobytes())
    loss, accuracy = quality(model, x, y)
    metrics = {
        "accuracy": round(accuracy, 6),
        "epochs": args.epochs,
        "files": files,
        "learningRate": rate,
        "loss": round(loss, 9),
        "rank": args.rank or 0,
        "rows": len(y),
        "seed": args.seed,
        "world": args.world,
    }
    with open(os.path.join(directory, "metrics.json"), "w", encoding="ascii") as out:
        json.dump(metrics, out, indent=2, sort_keys=True)
        out.write("\n")
    return accuracy


def hold(args, begin, model, x, y):
    """Real passes over the data until the time is over; the saved model is not touched."""
    passes = 0
    while time.monotonic() - begin < args.hold_seconds:
        started = time.monotonic()
        quality(model, x, y)
        passes += 1
        rest = (time.monotonic() - started) * (1 / args.duty - 1)
        left = args.hold_seconds - (time.monotonic() - begin)
        time.sleep(max(0.0, min(rest, left, 0.5)))
    print(f"held, {passes} more passes over {len(y)} rows", flush=True)


def main():
    begin = time.monotonic()
    args = arguments()
    rank = args.rank or 0
    rates = [float(rate) for rate in args.learning_rate.split(",")]
    rate = rates[rank % len(rates)]
    x, y, files = load(args.data, rank, args.world)
    print(f"rank {rank} of {args.world}: {len(y)} rows from {files} files, rate {rate}", flush=True)
    model = train(args, x, y, rate)
    if args.fail_with_code is not None:
        print(f"giving up on purpose with exit code {args.fail_with_code}", file=sys.stderr)
        sys.exit(args.fail_with_code)
    if args.out:
        directory = args.out if args.rank is None else os.path.join(args.out, f"rank-{rank}")
        print(f"saved, accuracy {save(args, directory, model, x, y, rate, files):.4f}", flush=True)
    if args.hold_seconds:
        hold(args, begin, model, x, y)


if __name__ == "__main__":
    main()
