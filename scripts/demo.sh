#!/usr/bin/env bash
# The main job once, on three real H&E images that any machine can get: prepare, train some minutes, evaluate at 17
# scales, segment an image. Leaves everything in runs/demo.
# MINUTES=8 scripts/demo.sh trains for longer; an interrupted demo goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .venv requirements.txt
export PATH="$PWD/.venv/bin:$PATH" MPLBACKEND=Agg
# Memory that is freed stays with the process: without it a CPU spends much of a training step on page faults.
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967295 MALLOC_TOP_PAD_=67108864

data=data/demo run=runs/demo
train=bundle/configs/train.json
network=bundle/configs/networks/seunet_geometric.json
overlays="'$network','bundle/configs/data/demo.json'"
[ -e $data/dataset.json ] || monai-seunet prepare demo $data

resume=false
[ -e $run/models/last.pt ] && resume=true
python -m monai.bundle run --config_file "['$train',$overlays]" \
    --output_dir $run --run_name demo --resume $resume \
    --crop_size 192 --batch_size 4 --max_lr 0.01 --epochs 1000 --val_interval 50 --max_minutes "${MINUTES:-4}"

python -m monai.bundle run --config_file "['$train',$overlays,'bundle/configs/evaluate.json']" \
    --output_dir $run

python -m monai.bundle run --config_file "['bundle/configs/inference.json','$network']" \
    --image $data/images --checkpoint $run/models/model.pt --output_dir $run/segmented --overwrite true

cat <<END

Done. Look at
  $run/SEUNet-geometric/validation    IoU per head and scale, the figure of the scales, the sigmas
  $run/segmented                      label, probability and scale maps, and the overlays
  .venv/bin/mlflow ui --backend-store-uri sqlite:///$run/mlruns.db     the run, at http://127.0.0.1:5000
END
