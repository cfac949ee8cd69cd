#!/usr/bin/env bash
# Everything about the CUDA backend that only a GPU can show, in under ten minutes: tests, compute-sanitizer, speed, accuracy.
#
#   bench/gpu_gate.sh                                    # builds, then runs; tables go to bench/results/
#   bench/gpu_gate.sh --bin DIR --out DIR                # with programs built elsewhere: DIR/convoy, DIR/test_cuda, DIR/bench_products
#
# Needs nvcc or --bin, and a GPU. compute-sanitizer, and a python3 with torch (for cuDNN and PyTorch to compare with; --python PATH), are used
# where they are found. Data sets are those in $CONVOY_DATA, else synthetic digits. Ends with a line per bar and non-zero when a test failed.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin='' out="$root/bench/results" python=python3 failures=0
while [ $# -gt 0 ]; do
  case $1 in
    --bin) bin=$2 ;;
    --out) out=$2 ;;
    --python) python=$2 ;;
    *) echo "gpu_gate: unknown option '$1'; known: --bin DIR, --out DIR, --python PATH" >&2; exit 2 ;;
  esac
  shift 2
done
mkdir -p "$out" || exit 5
out=$(cd "$out" && pwd)
summary="$out/gpu_gate.md"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%s\n' "$*" | tee -a "$summary"; }
# bar <name> <result>: a line of the summary.
bar() { say "| $1 | $2 |"; }

if [ -z "$bin" ]; then
  build() {
    cmake -S "$root" --preset release -DCONVOY_CUDA=ON -DCONVOY_BENCH=ON &&
      cmake --build "$root/build/release" --parallel "$(nproc)" --target convoy test_cuda bench_products
  }
  build >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; echo "gpu_gate: the build failed" >&2; exit 11; }
  bin="$work/bin"
  mkdir "$bin"
  ln -s "$root/build/release/apps/convoy" "$root/build/release/tests/test_cuda" "$root/build/release/bench/bench_products" "$bin/"
fi
[ -x "$bin/convoy" ] || { echo "gpu_gate: $bin/convoy is not there; --bin DIR names the folder with convoy, test_cuda and bench_products" >&2; exit 2; }
bin=$(cd "$bin" && pwd)
export CONVOY_TEST_FILES="$root/tests"

: >"$summary"
say "# GPU gate, $(date +%F), commit $(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
say
say "- machine: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null || echo 'unknown GPU')"
say "- command: \`bench/gpu_gate.sh\`"
say
say "| what | result |"
say "|---|---|"
"$bin/convoy" info | tee "$out/gpu_gate-info.txt"
if ! "$bin/convoy" info | grep -q 'cuda:0'; then
  bar "a GPU" "$("$bin/convoy" info | sed -n 's/^gpus *//p')"
  exit 6
fi

# --- tests -------------------------------------------------------------------------------------------------------------------------------
tests() {  # tests <name> <command>…
  local name=$1 log="$work/$1.log" start=$SECONDS
  shift
  timeout 240 "$@" >"$log" 2>&1
  local status=$?
  cat "$log" >>"$out/gpu_gate-tests.txt"
  if [ $status -ne 0 ]; then
    failures=$((failures + 1))
    grep -E 'FAILED|Failure|========= |error' "$log" | head -n 20
  fi
  bar "$name" "$(grep -E '^\[  (PASSED|FAILED)  \]' "$log" | head -n 1 | tr -d '[]' | xargs || true) exit code $status, $((SECONDS - start)) s"
}
: >"$out/gpu_gate-tests.txt"
tests kernels "$bin/test_cuda" --gtest_brief=1
if command -v compute-sanitizer >/dev/null; then
  # Generated shapes by the hundred take too long under the sanitizer: what each op does on a handful is the same code.
  for tool in memcheck racecheck synccheck initcheck; do
    tests "$tool" env CONVOY_TEST_SHAPES=6 compute-sanitizer --tool "$tool" --error-exitcode 9 "$bin/test_cuda" --gtest_brief=1
  done
else
  bar "compute-sanitizer" "not found, not run"
fi

# --- trainings ---------------------------------------------------------------------------------------------------------------------------
has() { "$bin/convoy" data list 2>/dev/null | grep -E "^$1 " | grep -qv 'not found'; }
train() {  # train <name> <options>…: the last line of a training, which names its accuracy and speed
  local name=$1
  shift
  (cd "$work" && timeout 120 "$bin/convoy" train --device cuda "$@" >"$work/train.log" 2>&1)
  local status=$?
  cat "$work/train.log" >>"$out/gpu_gate-train.txt"
  if [ $status -ne 0 ]; then failures=$((failures + 1)); fi
  bar "$name" "$(grep -E '^(trained|convoy:)' "$work/train.log" | tail -n 1) (exit code $status)"
}
: >"$out/gpu_gate-train.txt"
digits=synthetic
has mnist && digits=mnist
for precision in fp32 tf32 bf16; do
  train "mnist-cnn, $digits, $precision" --dataset "$digits" --model mnist-cnn --precision "$precision" --epochs 2
done
for graph in on off; do
  train "mnist-cnn, $digits, tf32, graph $graph" --dataset "$digits" --model mnist-cnn --precision tf32 --graph "$graph" --epochs 2
done
if has cifar10; then
  for graph in on off; do
    train "cifar-cnn, cifar10, tf32, graph $graph" --dataset cifar10 --model cifar-cnn --precision tf32 --graph "$graph" --epochs 2 --holdout 1000
  done
  train "resnet18, cifar10, tf32" --dataset cifar10 --model resnet18 --precision tf32 --epochs 1 --holdout 1000 --batch 128
fi

# --- speed beside PyTorch ------------------------------------------------------------------------------------------------------------------
if "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  for batch in 64 512; do
    for precision in fp32 tf32 bf16; do
      if (cd "$root/bench" && timeout 150 "$python" products.py --python-torch "$python" --binary "$bin/bench_products" --device cuda \
          --precision "$precision" --batch "$batch" --rounds 3 --seconds 0.03 --out "$out") >"$work/conv.log" 2>&1; then
        grep 'geometric mean' "$work/conv.log" | while IFS= read -r line; do bar "convolution against cuDNN, $precision, batch $batch" "$line"; done
      else
        failures=$((failures + 1))
        bar "convolution against cuDNN, $precision, batch $batch" "failed: $(tail -n 1 "$work/conv.log")"
      fi
    done
  done
  for precision in fp32 tf32 bf16; do
    if (cd "$root/bench" && timeout 100 "$python" products.py --what gemm --python-torch "$python" --binary "$bin/bench_products" --device cuda \
        --precision "$precision" --rounds 3 --seconds 0.03 --out "$out") >"$work/gemm.log" 2>&1; then
      grep 'geometric mean' "$work/gemm.log" | while IFS= read -r line; do bar "matrix products against cuBLAS, $precision" "$line"; done
    else
      failures=$((failures + 1))
      bar "matrix products against cuBLAS, $precision" "failed: $(tail -n 1 "$work/gemm.log")"
    fi
  done
  bar "limits" "$("$python" "$root/bench/gpu_limits.py")"
  for model in mnist-cnn cifar-cnn resnet18; do
    bar "PyTorch training, $model, batch 64, TF32, eager" \
      "$("$python" "$root/bench/peer_torch.py" --device cuda --tf32 --model "$model" --seconds 2 --layout nhwc | tail -n 1)"
    bar "PyTorch training, $model, batch 64, TF32, CUDA graph" \
      "$("$python" "$root/bench/peer_torch.py" --device cuda --tf32 --graph --model "$model" --seconds 2 --layout nhwc | tail -n 1)"
  done
else
  bar "cuDNN and PyTorch" "not compared: $python has no torch that sees the GPU"
fi

bar "sections that failed" "$failures"
echo "gpu_gate: tables are in $out"
[ "$failures" -eq 0 ]
