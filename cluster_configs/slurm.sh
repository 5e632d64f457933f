#!/usr/bin/env bash
# sbatch cluster_configs/slurm.sh jobs/embed.py --config recipes/mine.yaml --root /shared/tables --resources cluster_configs/gpu.yaml
#
# One Ray cluster for the time of one job on Slurm's nodes. `ray symmetric-run` starts Ray on each, runs the job once, on the
# first, when all have come, and ends Ray with it. The root is a folder that all nodes see, or an object store.
#SBATCH --job-name=theta-ray
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --mem=64G
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -euo pipefail

cd "${SLURM_SUBMIT_DIR:?is set by sbatch}"
[ $# -gt 0 ] || { echo "usage: sbatch $0 jobs/JOB.py --config RECIPE --root ROOT" >&2; exit 2; }
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head_node=${hosts%%$'\n'*}
port=$((20000 + SLURM_JOB_ID % 20000)) # two jobs may share a node

# a token of this job's own: no other user of these nodes submits code to its cluster
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 OMP_NUM_THREADS=1
export RAY_ADDRESS="$head_node:$port"

.venv/bin/theta-ray doctor "${@:2}"
# --signal=B:TERM reaches this shell alone; the job hears of it, gives its lease back and leaves with exit code 7
noticed=
trap 'noticed=yes; kill -TERM "$!"' TERM
srun --export=ALL .venv/bin/ray symmetric-run --address "$head_node:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" --temp-dir "/tmp/ray-$SLURM_JOB_ID" -- .venv/bin/python "$@" &
job=$!
code=0
wait "$job" || code=$?
while [ -n "$noticed" ]; do # the notice ended the wait, not the job
    noticed= code=0
    wait "$job" || code=$?
done
exit "$code"
