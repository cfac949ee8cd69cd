#!/usr/bin/env bash
# Everything about the CUDA backend that only a GPU can show, in under ten minutes: tests, accuracy, speed, compute-sanitizer.
#
#   bench/gpu_gate.sh                          # builds, then runs; tables go to bench/results/
#   bench/gpu_gate.sh --bin DIR --out DIR      # with programs built elsewhere (CMake -DCONVOY_PORTABLE=ON): DIR/convoy, test_cuda,
#                                              # test_parallel_cuda, bench_products, bench_train_step
#   bench/gpu_gate.sh --seconds 3000           # more time (default 570, the build not counted); what it does not suffice for is named
#
# Needs nvcc or --bin, and a GPU. compute-sanitizer, and a python3 with torch (to compare with cuDNN, cuBLAS and PyTorch; --python PATH), are used
# where they are found. Data sets are those in $CONVOY_DATA, else synthetic digits. Prints a line per bar and writes them to
# <date>-gpu_gate-<GPU>.md, beside what the tests and trainings printed; a second run of the same day replaces them.
# Exit codes: 0 all passed, 1 something failed, 2 wrong usage, 5 the tables cannot be written, 6 there is no GPU, 11 the build failed.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command="bench/gpu_gate.sh${*:+ $*}"
bin='' out="$root/bench/results" python=python3 seconds=570 failures=0
PATH="$PATH:/usr/local/cuda/bin"
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      sed -n '2,/^set /{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0 ;;
    --bin | --out | --python | --seconds)
      [ -n "${2:-}" ] || { echo "gpu_gate: $1 wants a value" >&2; exit 2; }
      declare "${1#--}=$2" ;;
    *) echo "gpu_gate: unknown option '$1'; known: --bin DIR, --out DIR, --python PATH, --seconds N, --help" >&2; exit 2 ;;
  esac
  shift 2
done
case $seconds in
  '' | 0* | *[!0-9]*) echo "gpu_gate: --seconds: '$seconds' is not a whole number of seconds above 0" >&2; exit 2 ;;
esac
if [ -z "$bin" ] && ! nvidia-smi --list-gpus 2>/dev/null | grep -q GPU; then
  echo "gpu_gate: no GPU here (nvidia-smi lists none); ./convoy test runs the tests on emulated ones" >&2
  exit 6
fi
python=$(command -v "$python" || echo "$python")
python=$(readlink -f "$(dirname "$python")")/$(basename "$python")
if [ -n "${CONVOY_DATA:-}" ]; then CONVOY_DATA=$(readlink -f "$CONVOY_DATA"); fi
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

if [ -z "$bin" ]; then
  build() {
    cmake -S "$root" --preset release -DCONVOY_CUDA=ON -DCONVOY_BENCH=ON &&
      cmake --build "$root/build/release" --parallel "$(nproc)" --target convoy test_cuda test_parallel_cuda bench_products bench_train_step
  }
  build >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; echo "gpu_gate: the build failed" >&2; exit 11; }
  bin="$work/bin"
  mkdir "$bin"
  ln -s "$root/build/release/apps/convoy" "$root"/build/release/tests/test_{cuda,parallel_cuda} "$root"/build/release/bench/bench_{products,train_step} "$bin/"
fi
for program in convoy test_cuda test_parallel_cuda bench_products bench_train_step; do
  [ -x "$bin/$program" ] || { echo "gpu_gate: $bin/$program is not there" >&2; exit 2; }
done
bin=$(cd "$bin" && pwd)
export CONVOY_TEST_FILES="$root/tests"
# A program built elsewhere finds NCCL where PyTorch has it.
if ldd "$bin/convoy" | grep -q 'libnccl.*not found'; then
  LD_LIBRARY_PATH=$("$python" -c 'import nvidia.nccl; print(nvidia.nccl.__path__[0] + "/lib")' 2>/dev/null):${LD_LIBRARY_PATH:-}
  export LD_LIBRARY_PATH
fi
end=$((SECONDS + seconds))

say() { printf '%s\n' "$*" | tee -a "$summary"; }
bar() { say "| $1 | $2 |"; }
allowed() { echo $(($1 < end - SECONDS ? $1 : end - SECONDS)); }  # so many seconds, but not beyond the end
# limited <seconds> <command>…: runs it for at most so long; 124 when that was too short.
limited() {
  local limit
  limit=$(allowed "$1")
  shift
  [ "$limit" -ge 2 ] || return 124
  timeout "$limit" "$@"
}
words_of() {  # the result of a command, in words
  case $1 in 0) echo ok ;; 124) echo 'FAILED: out of time' ;; *) echo "FAILED: exit code $1" ;; esac
}

"$bin/convoy" info >"$work/info.txt" 2>&1
gpu=$(sed -nE 's/^gpus +cuda:0 ([^,]*),.*/\1/p' "$work/info.txt")
if [ -z "$gpu" ]; then
  echo "gpu_gate: $bin/convoy finds no GPU: $(sed -nE 's/^(gpus +none|convoy): //p' "$work/info.txt" | head -n 1)" >&2
  exit 6
fi
mkdir -p "$out" 2>/dev/null || { echo "gpu_gate: --out: $out cannot be made a folder" >&2; exit 5; }
out=$(cd "$out" && pwd)
# NVIDIA H200 -> 2026-11-24-gpu_gate-nvidia-h200
record="$out/$(date +%F)-gpu_gate-$(tr '[:upper:] ' '[:lower:]-' <<<"$gpu" | tr -cd 'a-z0-9-')"
summary="$record.md"
cp "$work/info.txt" "$record-info.txt" || exit 5

: >"$summary" || exit 5
say "# GPU gate"
say
say "- date: $(date +%F), commit: $(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
say "- machine: $gpu, driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 || echo unknown)"
say "- command: \`$command\`"
say
say "| what | result |"
say "|---|---|"

# --- tests -------------------------------------------------------------------------------------------------------------------------------
# tests <name> <seconds> <processes> <command>…: a test program, its tests dealt out to processes that run side by side: their references are the
# CPU's, and after a fault in a kernel a process can do nothing more on the GPU, others can.
tests() {
  local name=$1 limit=$2 shards=$3 start=$SECONDS status=0 worst=0 shard pids=() passed failed skipped
  shift 3
  limit=$(allowed "$limit")
  if [ "$limit" -lt 2 ]; then shards=0 worst=124; fi
  : >"$work/tests.0"
  for ((shard = 0; shard < shards; ++shard)); do  # each job is `timeout` itself, which takes what it runs along when it is ended
    GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard OMP_NUM_THREADS=$(((cores + shards - 1) / shards)) \
      timeout "$limit" "$@" >"$work/tests.$shard" 2>&1 &
    pids+=($!)
  done
  for shard in "${pids[@]}"; do
    wait "$shard" || status=$?
    if [ $status -gt $worst ]; then worst=$status; fi
  done
  cat "$work"/tests.[0-9]* >"$work/tests.log"
  rm "$work"/tests.[0-9]*
  { echo "===== $name"; cat "$work/tests.log"; } >>"$record-tests.txt"
  passed=$(awk '/^\[  PASSED  \]/ { sum += $4 } END { print sum + 0 }' "$work/tests.log")
  failed=$(grep -cE '^\[  FAILED  \] .*\([0-9]+ ms\)$' "$work/tests.log")
  skipped=$(awk '/^\[  SKIPPED \] [0-9]+ tests?\.$/ { sum += $4 } END { print sum + 0 }' "$work/tests.log")
  if [ "$worst" -eq 0 ] && { [ "$passed" -eq 0 ] || [ "$(grep -c '^\[  PASSED  \]' "$work/tests.log")" -ne "$shards" ]; }; then
    worst='0, but no test has passed, or a process has not reported'
  fi
  if [ "$worst" != 0 ]; then
    failures=$((failures + 1))
    grep -E 'FAILED|Failure|=========|error' "$work/tests.log" | head -n 20
  fi
  bar "$name" "$(words_of "$worst"), $passed passed, $failed failed, $skipped skipped, $((SECONDS - start)) s"
}
cores=$(nproc)
processes=$(((cores + 1) / 2 < 8 ? (cores + 1) / 2 : 8))
: >"$record-tests.txt"
tests 'kernels and trajectories' 200 "$processes" "$bin/test_cuda" --gtest_brief=1
tests 'replicas and ranks, as far as there are GPUs' 60 1 "$bin/test_parallel_cuda" --gtest_brief=1

# --- trainings ---------------------------------------------------------------------------------------------------------------------------
# train <name> <least accuracy, %> <run> <options>…
train() {
  local name=$1 least=$2 run=$3 status accuracy
  shift 3
  (cd "$work" && limited 60 "$bin/convoy" train --device cuda --run "$run" --log-every 1 --checkpoint-every 0 "$@") >"$work/train.log" 2>&1
  status=$?
  { echo "===== $name"; cat "$work/train.log"; } >>"$record-train.txt"
  accuracy=$(sed -nE 's/^trained .* accuracy ([0-9.]+) %$/\1/p' "$work/train.log")
  if [ $status -eq 0 ] && ! awk -v a="${accuracy:-0}" -v b="$least" 'BEGIN { exit a < b }'; then
    status="0, but the accuracy is below $least %"
  fi
  [ "$status" = 0 ] || failures=$((failures + 1))
  bar "$name" "$(words_of "$status"): $(grep -E '^(trained|convoy:)' "$work/train.log" | tail -n 1)"
}
# same_losses <run> <run>: a replayed training has the bits of one whose kernels are launched singly.
same_losses() {
  if ! grep -qs '"event":"step"' "$work/$1/metrics.jsonl" || ! grep -qs '"event":"step"' "$work/$2/metrics.jsonl"; then
    failures=$((failures + 1))
    bar "losses of $1 and $2" "FAILED: one of them has not run"
  elif cmp -s <(grep '"step"' "$work/$1/metrics.jsonl" | grep -v '"epoch",') <(grep '"step"' "$work/$2/metrics.jsonl" | grep -v '"epoch",'); then
    bar "losses of $1 and $2" "ok: equal to the last bit"
  else
    failures=$((failures + 1))
    bar "losses of $1 and $2" "FAILED: they differ"
  fi
}
has() { ! "$bin/convoy" data list | grep -q "^ *$1: not found"; }
: >"$record-train.txt"
digits=synthetic
if has mnist; then digits=mnist; fi
for precision in fp32 tf32 bf16; do
  train "mnist-cnn, $digits, $precision, graph on" 90 "mnist-$precision" --dataset "$digits" --model mnist-cnn --precision "$precision" --epochs 2
done
train "mnist-cnn, $digits, tf32, graph off" 90 mnist-single --dataset "$digits" --model mnist-cnn --precision tf32 --graph off --epochs 2
same_losses mnist-tf32 mnist-single
if has cifar10; then
  for graph in on off; do
    train "cifar-cnn, cifar10, tf32, graph $graph" 40 "cifar-$graph" --dataset cifar10 --model cifar-cnn --precision tf32 --graph "$graph" --epochs 2 --holdout 1000
    train "resnet18, cifar10, tf32, graph $graph" 20 "resnet-$graph" --dataset cifar10 --model resnet18 --precision tf32 --graph "$graph" --steps 200 --batch 64 --holdout 1000
  done
  train "cifar-cnn, cifar10, bf16, graph on" 40 cifar-bf16 --dataset cifar10 --model cifar-cnn --precision bf16 --epochs 2 --holdout 1000
  train "resnet18, cifar10, bf16, graph on" 20 resnet-bf16 --dataset cifar10 --model resnet18 --precision bf16 --steps 200 --batch 64 --holdout 1000
  same_losses cifar-on cifar-off
  same_losses resnet-on resnet-off
fi

# Two ranks on the first GPU, without MPI. NCCL wants a GPU for each rank, so each pretends to be a host of its own; what goes
# between such hosts are messages over the loopback. Along the tree the weights are those of one rank, to the last bit.
two_ranks() {
  local CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}
  export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES%%,*}
  local options=(--dataset "$digits" --model mnist-cnn --epochs 1 --limit 4096 --precision tf32 --reduce tree --shards 4) rank pids=() status=0
  (cd "$work" && limited 60 "$bin/convoy" train --device cuda --run one-rank --save one-rank.safetensors "${options[@]}") || return
  for rank in 0 1; do
    (cd "$work" && RANK=$rank WORLD_SIZE=2 LOCAL_RANK=$rank LOCAL_WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$((20000 + $$ % 10000)) \
      NCCL_HOSTID="gate-$rank" NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_SOCKET_IFNAME=lo \
      limited 90 "$bin/convoy" train --device cuda --strategy ddp --run "two-ranks" --save two-ranks.safetensors "${options[@]}") &
    pids+=($!)
  done
  for rank in "${pids[@]}"; do wait "$rank" || status=$?; done
  [ $status -eq 0 ] && cmp "$work/one-rank.safetensors" "$work/two-ranks.safetensors"
}
if "$bin/convoy" info | grep -q 'nccl: NCCL'; then
  two_ranks >"$work/train.log" 2>&1
  status=$?
  { echo '===== two ranks on one GPU'; cat "$work/train.log"; } >>"$record-train.txt"
  [ $status -eq 0 ] || { failures=$((failures + 1)); tail -n 3 "$work/train.log"; }
  bar 'ddp, two ranks on one GPU over NCCL: the bits of one rank' "$(words_of $status)"
else
  bar 'ddp, two ranks on one GPU over NCCL' 'not run: the program is built without NCCL'
fi

# --- speed beside PyTorch ------------------------------------------------------------------------------------------------------------------
# products <name> <options>…: the geometric means of a run of products.py
products() {
  local name=$1 status
  shift
  (cd "$root/bench" && limited 90 "$python" products.py --python-torch "$python" --binary "$bin/bench_products" --device cuda --rounds 2 \
    --seconds 0.03 --out "$out" "$@") >"$work/products.log" 2>&1
  status=$?
  if [ $status -ne 0 ]; then
    failures=$((failures + 1))
    bar "$name" "$(words_of $status): $(tail -n 1 "$work/products.log")"
  fi
  grep 'geometric mean' "$work/products.log" | while IFS= read -r line; do bar "$name" "$line"; done
}
steps() {  # of Convoy, on noise in memory
  local status
  limited 30 "$bin/bench_train_step" --device cuda --precision "$2" --model "$1" --seconds 2 >"$work/step.log" 2>&1
  status=$?
  [ $status -eq 0 ] || failures=$((failures + 1))
  bar "Convoy training, $1, batch 64, $2" "$(words_of $status): $(tail -n 1 "$work/step.log")"
}
peer_training() {  # of PyTorch, likewise
  local name=$1
  shift
  bar "PyTorch training, $name, batch 64, TF32" \
    "$(limited 60 "$python" "$root/bench/peer_torch.py" --device cuda --tf32 --layout nhwc --seconds 2 "$@" 2>&1 | tail -n 1)"
}
for model in mnist-cnn cifar-cnn resnet18; do
  for precision in tf32 bf16; do steps "$model" "$precision"; done
done
if "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  bar limits "$(limited 60 "$python" "$root/bench/gpu_limits.py" 2>&1 | tail -n 1)"
  for precision in tf32 bf16 fp32; do
    for batch in 64 512; do products "convolutions against cuDNN, $precision, batch $batch" --precision "$precision" --batch "$batch"; done
    products "matrix products against cuBLAS, $precision" --what gemm --precision "$precision"
  done
  for model in mnist-cnn cifar-cnn resnet18; do
    peer_training "$model, eager" --model "$model"
    peer_training "$model, CUDA graph" --model "$model" --graph
  done
  peer_training "mnist-cnn, compiled" --model mnist-cnn --compile
else
  bar 'cuDNN, cuBLAS and PyTorch' "not compared: $python has no torch that sees the GPU"
fi

# --- compute-sanitizer: the slowest, hence last --------------------------------------------------------------------------------------------
if command -v compute-sanitizer >/dev/null; then
  # Generated shapes by the hundred take too long: what each op does on a handful is the same code.
  for tool in memcheck racecheck synccheck initcheck; do
    tests "$tool" 200 "$processes" env CONVOY_TEST_SHAPES=3 compute-sanitizer --tool "$tool" --error-exitcode 9 "$bin/test_cuda" --gtest_brief=1 --gtest_filter='-*Trajectory*'
  done
else
  failures=$((failures + 1))
  bar compute-sanitizer 'FAILED: not found'
fi

bar 'what failed' "$failures"
echo "gpu_gate: tables are in $out"
[ "$failures" -eq 0 ]
