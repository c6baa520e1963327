#!/usr/bin/env bash
# The bundle on real H&E images and a slide that any machine can get: segment them with the weights in bundle/models,
# compare these with a plain U-Net at 17 scales, and train some minutes. Leaves everything in runs/demo.
# Takes a quarter of an hour on two cores, four minutes of it for the training; MINUTES=8 scripts/demo.sh trains for
# longer. An interrupted demo goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .venv requirements.txt
export PATH="$PWD/.venv/bin:$PATH" MPLBACKEND=Agg
# Memory that is freed stays with the process: without it a CPU spends much of a training step on page faults.
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967295 MALLOC_TOP_PAD_=67108864

data=data/demo run=runs/demo configs=bundle/configs models=bundle/models
bundle() { python -m monai.bundle run "$@"; }

[ -e $data/dataset.json ] || monai-seunet prepare demo $data
monai-seunet prepare demo_slide $run/slide.svs

bundle --config_file $configs/inference.json --image $data/images --output_dir $run/segmented --overwrite true
monai-seunet segment $run/slide.svs -o $run/slide --bundle bundle --network seunet_octaves

for network in seunet_octaves plain_unet; do
    weights=$models/model.pt
    [ $network = plain_unet ] && weights=$models/plain_unet.pt
    [ -e $run/$network/report.json ] || bundle \
        --config_file "['$configs/train.json','$configs/networks/$network.json','$configs/data/demo.json','$configs/evaluate.json']" \
        --checkpoint $weights --output_dir $run --report_dir $run/$network --run_name "$network of the bundle"
done
monai-seunet compare $run/seunet_octaves $run/plain_unet --out $run/compared

resume=false
[ -e $run/models/last.pt ] && resume=true
bundle --config_file "['$configs/train.json','$configs/data/demo.json']" --output_dir $run --run_name demo --resume $resume \
    --crop_size 192 --batch_size 4 --max_lr 0.01 --epochs 1000 --val_interval 50 --max_minutes "${MINUTES:-4}"

cat <<END

Done. Look at
  $run/segmented                    of each image: pictures that end in overlay.png, and label, probability and scale
                                    maps (a viewer shows these black: their values are 0, 1, 2 ...)
  $run/slide/slide/summary.html     the slide; objects.geojson is for QuPath
  $run/compared                     the weights of the bundle against a plain U-Net of the same training, at 17 scales
  scripts/mlflow.sh $run            the training and the evaluations, at http://127.0.0.1:5000
END
