# What the scripts share, sourced by each of them: the group, paths and names, every default stated here and once.
# Any of them can be set in the environment, as in: GROUP=south_east_asian RUN=/scratch/ppa 6_evaluate.sh
# shellcheck shell=bash disable=SC2034

: "${GROUP:=mediterranean_amharic_farsi}"  # a name in ../groups, or a directory with a group.yaml and a tasks.yaml
export GROUP                               # for the scripts that a script calls

RECIPE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
EXAMPLES=$(dirname "$RECIPE")
OF_GROUP=$EXAMPLES/groups/$GROUP
[ -f "$OF_GROUP/group.yaml" ] || OF_GROUP=$GROUP
if [ ! -f "$OF_GROUP/group.yaml" ]; then
    echo "error: GROUP=$GROUP is neither a directory with a group.yaml nor a name in $EXAMPLES/groups" >&2
    exit 2
fi
OF_GROUP=$(cd "$OF_GROUP" && pwd)

: "${RUN:=runs/$(basename "$OF_GROUP")}"   # where all that the scripts write for this group lies
: "${BASE:=cis-lmu/glot500-base}"          # the model to start from, on the hub or in a local directory
: "${ARCH:=glot500_base}"                  # its size: glot500_base, xlmr_base or xlmr_large
: "${CONVERTED:=runs/$(basename "$BASE")}" # BASE in fairseq's format, shared by groups
: "${CORPUS:=hf:cis-lmu/Glot500}"          # text: a directory with a file for each language, or hf:NAME
: "${ROMANIZED:=runs/romanized}"           # romanizations of words, shared by groups and runs
: "${EVAL:=data/eval}"                     # evaluation data: EVAL/bible, tatoeba, sib, taxi1500, sib200, ner, pos
: "${MAX_UPDATE:=62000}"                   # passes x pairs / 512: 2 x 15.8M or 8 x 4.0M; also the schedule's end
: "${CHECKPOINTS:=$RUN/checkpoints}"

# fairseq takes shards as a list with colons, one shard an epoch
shards() {
    local found=("$RUN"/data-bin/shard*)
    (IFS=:; printf '%s' "${found[*]}")
}

# says what a step reads and writes, before it does
reads() { printf 'reads  %s\n' "$@"; }
writes() { printf 'writes %s\n' "$@"; }
