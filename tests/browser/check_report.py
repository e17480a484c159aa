#!/usr/bin/env python3
"""check_report.py TRAIN CASE

Runs the program `train` with --report in a folder of its own, and looks at the page that comes out.
Each function below is a case.
"""

import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

SECTIONS = ("curves", "gradients", "weights", "mistakes", "confusion", "equations", "settings")


def run(*options, code=0, **more):
    done = subprocess.run([TRAIN, *options], capture_output=True, text=True, timeout=280, **more)
    assert done.returncode == code, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def page(folder="report"):
    return pathlib.Path(folder, "index.html").read_text(encoding="utf-8")


def look(*needed, folder="report"):
    """Shows the page to a browser, where there is one."""
    needs = [f"#{section} h2" for section in SECTIONS] + [*needed]
    options = [part for selector in needs for part in ("--need", selector)]
    options += ["--in-sight", ".mark"]
    checker = pathlib.Path(__file__).resolve().with_name("check_page.py")
    done = subprocess.run([sys.executable, checker, f"{folder}/index.html", *options],
                          capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout.strip())
    return "skipped" not in done.stdout


CURVES = "#curves svg path[stroke^='var(--plot-1']"
ALL = (CURVES, "#gradients svg path[stroke^='var(--plot-2']", "#weights img", "#mistakes img",
       "#confusion td", "#equations math", "#settings code")


def data_set(folder, rows, columns):
    """Files as those of MNIST, in which one pixel tells the class: easy to learn."""
    os.makedirs(folder)
    pixels = rows * columns
    for name, count in (("train", 300), ("t10k", 30)):
        labels = bytes(i % 10 for i in range(count))
        images = b"".join(bytes(255 if p == label else 0 for p in range(pixels)) for label in labels)
        with open(f"{folder}/{name}-images-idx3-ubyte", "wb") as file:
            file.write(struct.pack(">4I", 0x803, count, rows, columns) + images)
        with open(f"{folder}/{name}-labels-idx1-ubyte", "wb") as file:
            file.write(struct.pack(">2I", 0x801, count) + labels)


def digits():
    run("--report", "report")
    look(*ALL)
    assert len(page()) < 150_000


def deep():
    run("--report", "report", "--layers", "64,30,30,30,30,10", "--epochs", "3")
    look(*ALL)
    assert page().count("l = 5</text>") == 2


def many_layers():
    run("--report", "report", "--layers", "64" + ",12" * 10 + ",10", "--epochs", "1",
        "--activation", "relu", "--cost", "log-likelihood", "--learning-rate", "0.1")
    look(*ALL)


def fashion():
    if not pathlib.Path("/usr/share/datasets/fashion-mnist").exists():
        sys.exit("skipped: Debian's package dataset-fashion-mnist is not installed")
    run("--report", "report", "--dataset", "fashion-mnist", "--layers", "784,120,10",
        "--epochs", "1", "--learning-rate", "1")
    look(*ALL)
    assert page().count("alt=\"Weights of neuron") == 100 and "first 100 of 120" in page()


def same_weights():
    """Watching a training does not change it."""
    logs = []
    for report in ([], ["--report", "report"]):
        run("--layers", "64,30,20,10", "--epochs", "6", "--log", "log", *report)
        lines = [json.loads(line) for line in pathlib.Path("log").read_text().splitlines()]
        logs.append([(line["cost"], line["correct"]) for line in lines])
    assert len(logs[0]) == 6 and logs[0] == logs[1], logs


def same_page():
    """For any number of threads, and in place of an older page."""
    pages = []
    for threads in "1", "2":
        run("--report", "report", "--epochs", "2", "--threads", threads)
        pages.append(page())
        assert os.listdir("report") == ["index.html"]
    assert pages[0] == pages[1]
    run("--report", "report", "--epochs", "2", "--seed", "2")
    assert page() != pages[0]


def same_command():
    """The command on the page gives the page again."""
    run("--report", "report", "--epochs", "1", "--activation", "tanh", "--learning-rate", "0.1",
        "--dtype", "float64", "--init", "standard-normal", "--batch-size", "7", "--seed", "5")
    before = page()
    command = before.split("<code>train ")[1].split("</code>")[0]
    run("--report", "report", *command.split())
    assert page() == before


def diverged():
    output = run("--report", "report", "--activation", "linear", "--learning-rate", "1000", code=1)
    assert "report: report/index.html" in output
    look(".notice", CURVES)
    assert "no longer finite in epoch 1" in page()
    assert "outputs are no longer finite" in page()


def interrupted():
    with subprocess.Popen([TRAIN, "--report", "report", "--epochs", "10000000"],
                          stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("epoch 600/"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode == 130 and "report: " in rest, rest
    look(".notice", *ALL)
    assert "interrupted in epoch" in page() and len(page()) < 200_000


def no_mistakes():
    data_set("data", 4, 4)
    run("--report", "report", "--dataset", "mnist", "--data-dir", "data", "--epochs", "30",
        "--layers", "16,10", "--cost", "cross-entropy")
    assert "None: all 30 test images are recognised." in page()
    look(CURVES, "#weights img", "#confusion td", "#equations math")


def names_from_outside():
    """Nothing that comes from outside is read as HTML; images need not be square."""
    folder = "<b>'\"&"
    data_set(folder, 3, 5)
    run("--report", folder, "--dataset", "mnist", "--data-dir", folder, "--layers", "15,10",
        "--epochs", "1")
    text = page(folder)
    assert folder not in text and "&lt;b&gt;&#39;&quot;&amp;" in text
    assert "not square images" in text
    look(CURVES, "#confusion td", "#settings code", folder=folder)


def checker_complains():
    """The check of pages itself: each thing that is broken here, it must name."""
    run("--report", "report", "--epochs", "1")
    text = page()
    broken = {
        "the page is": ("<main>", "<main><div style='width: 2000px'>wide</div>"),
        "over the edge of the window": None,
        "missing: #settings h2": ("id=\"settings\"", "id=\"other\""),
        "nothing but a heading: section": ("</main>", "<section><h2>Bare</h2></section></main>"),
        "image does not load: Weights of neuron 1": ("base64,", "base64,broken"),
        "image without alt": ("alt=\"Weights of neuron 2\"", ""),
        "svg without a label": ("role=\"img\"", "role=\"img\" aria-label=\"\""),
        "text outside its plot": ("<text>epoch</text>", "<text dy=\"300\">epoch</text>"),
        "texts on each other": ("<text>epoch</text>", "<text dy=\"-27\">label after label</text>"),
        "contrast": ("</h1>", "</h1><p style='color: #808080'>pale</p>"),
        "console: said": ("</main>", "</main><script>console.error('said')</script>"),
        "exception": ("</main>", "</main><script>nothing.there</script>"),
        "out of sight: p.mark": ("</main>", "<div style='overflow: auto hidden'><p class='mark' "
                                             "style='width: 3000px'>far</p></div></main>"),
        " high in 5: div": ("</main>", "<details><summary>more</summary><div style='overflow-x: "
                                       "auto; height: 5px'>high</div></details></main>"),
        "asks for file": ("</main>", "</main><link rel='stylesheet' href='elsewhere.css'>"),
    }
    for change in broken.values():
        if change:
            assert change[0] in text, change
            text = text.replace(*change, 1)
    pathlib.Path("report/index.html").write_text(text, encoding="utf-8")
    try:
        assert not look()
    except AssertionError as said:
        silent = [complaint for complaint in broken if complaint not in str(said)]
        assert not silent, f"no word of {silent} in: {said}"


def refused():
    """Before anything is trained."""
    os.makedirs("taken/index.html")
    for folder in ("/dev/null/report", "taken"):
        output = run("--report", folder, code=2)
        assert "index.html: cannot be written; name a folder" in output, output
        assert "examples to train on" not in output
    assert os.listdir("taken") == ["index.html"]


def gnuplot_missing():
    output = run("--report", "report", code=2, env={"PATH": "/nonexistent"})
    assert "install it (Debian's package is gnuplot-nox)" in output
    assert "examples to train on" not in output and not os.path.exists("report")
    run("--epochs", "1", env={"PATH": "/nonexistent"})


def main():
    case = globals()[sys.argv[2]]
    if case is not gnuplot_missing and shutil.which("gnuplot") is None:
        print("skipped: the program gnuplot is not installed (Debian: gnuplot-nox)")
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        case()
        os.chdir("/")
    print(case.__name__ + ": as it should be")


if __name__ == "__main__":
    TRAIN = os.path.abspath(sys.argv[1])
    main()
