"""libFuzzer over what the firmware does with bytes from outside."""

import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TFLM = HERE.parents[1] / "tflm"
TARGETS = {
    "protocol": ["micronet/protocol.cc", "micronet/image.cc", "micronet/status.cc",
                 "micronet/top_k.cc", "micronet/answer_classes.cc"],
    "image": ["micronet/image.cc", "micronet/status.cc"],
    "detection": ["detection/micronet_detection.c"],
    "keypoints": ["keypoints/micronet_keypoints.c"],
}  # fmt: skip
_SANITIZE = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
_WORDS = [b"name%", b"profile%", b"db load 48%", b"db ", b"infer 1 0%", b"results%", b"top 3%",
          b"camera%", b"test%", b"0" * 64 + b"%", b"\x01"]  # fmt: skip


def fuzz(target: str, runs: int, folder: Path, seconds: int) -> dict:
    """Builds a target and runs it.

    Args:
        target: one of `TARGETS`.
        runs: how many inputs.
        folder: for the program, its corpus, and the input that broke it, if one did.
        seconds: at most so long.

    Returns:
        runs: as many as there were; findings: a list of descriptions.

    Raises:
        RuntimeError: there is no clang with libFuzzer.
    """
    program = _build(target, folder)
    corpus = folder / f"{target}_corpus"
    corpus.mkdir(exist_ok=True)
    if target == "protocol":
        (corpus / "words").write_bytes(b"\0" + b"".join(_WORDS))
    command = [program, f"-runs={runs}", f"-max_total_time={seconds}", "-seed=1", "-timeout=20",
               "-max_len=512", f"-artifact_prefix={folder}/{target}_", corpus]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    count = re.search(r"Done (\d+) runs|#(\d+)\s+DONE", done.stderr)
    return {
        "runs": int(count[1] or count[2]) if count else 0,
        "findings": [] if done.returncode == 0 else [done.stderr[-1500:]],
    }


def _build(target: str, folder: Path) -> Path:
    clang = shutil.which("clang++") or shutil.which("clang++-14")
    if clang is None:
        raise RuntimeError("clang++ is missing (Debian: clang, libclang-rt-dev)")
    objects = []
    for source in [HERE / "fuzz" / f"{target}.cc", *(TFLM / name for name in TARGETS[target])]:
        objects.append(folder / f"{target}_{len(objects)}.o")
        language = ["-x", "c", "-std=c99"] if source.suffix == ".c" else ["-x", "c++", "-std=c++17"]
        include = [f"-I{TFLM / part}" for part in ("micronet", "detection", "keypoints")]
        include.append(f"-I{HERE / 'fuzz'}")  # model_answer.h, which is generated for a model.
        _run([clang, *language, "-O1", "-g", *_SANITIZE, *include, "-c", source, "-o", objects[-1]])
    program = folder / f"{target}_fuzzer"
    _run([clang, *_SANITIZE, *objects, "-o", program])
    return program


def _run(command: list) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[:1500]}")
