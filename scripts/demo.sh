#!/usr/bin/env bash
# Demonstrate the bundle on public H&E images and a slide: segment them with the weights in bundle/models, compare these
# weights with a plain U-Net at 17 scales, and train for some minutes. All results are in runs/demo.
# The demo takes a quarter of an hour on two cores, including four minutes of training. MINUTES=8 scripts/demo.sh trains
# longer. A second call resumes an interrupted demo.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .venv requirements.txt
export PATH="$PWD/.venv/bin:$PATH" MPLBACKEND=Agg
# The process keeps freed memory: otherwise page faults take much of the time of a training step on a CPU.
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

Done. The results are
  $run/segmented                    overlays of each image, and maps of labels, probabilities and scale groups (viewers
                                    show these maps black, because their values are 0, 1, 2 and so on)
  $run/slide/slide/summary.html     summary of the slide; QuPath opens objects.geojson
  $run/compared                     comparison of the weights with a plain U-Net of the same training, at 17 scales
  scripts/mlflow.sh $run            pages of the training and the evaluations, at http://127.0.0.1:5000
END
