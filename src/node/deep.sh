# Sums up every Data.db in backups, for ringhaul. It only reads.
#
# Arguments: `list` or `sums`, sudo (auto, never, always), whether we may list the folders ourselves
# (yes, no; `list` finds out), data folders ...
# Answer: segments between NULs, each a word, a space, and a value. `sums` prints what cksum makes
# of a file whose bytes had their bits reversed: zlib's CRC-32 can be had from it.

task=$1 sudo=$2 may_list=$3
shift 3

# What others do on this disk goes first.
command -v ionice >/dev/null && ionice -c 3 -p $$ </dev/null >/dev/null 2>&1

look() {
    may=$1
    shift
    say walk "$may"
    errors=$(
        as_allowed "$may" find -L "$@" -mindepth 4 -maxdepth 5 -type f -path '*/backups/*' \
            '(' -name '*-Data.db' -printf '\0f %D %i %s %T@ %p\0' -o \
            -name '*-Digest.crc32' -exec head -v -c 64 -- '{}' + ')' \
            2>&1 >&3 3>&-
    )
    status=$?
    [ -n "$errors" ] && say walk-errors "$(printf '%s' "$errors" | head -c 8192)"
    say walk-end "$status"
}

# Every byte with its bits in the other order.
reversed='\000\200\100\300\040\240\140\340\020\220\120\320\060\260\160\360'
reversed=$reversed'\010\210\110\310\050\250\150\350\030\230\130\330\070\270\170\370'
reversed=$reversed'\004\204\104\304\044\244\144\344\024\224\124\324\064\264\164\364'
reversed=$reversed'\014\214\114\314\054\254\154\354\034\234\134\334\074\274\174\374'
reversed=$reversed'\002\202\102\302\042\242\142\342\022\222\122\322\062\262\162\362'
reversed=$reversed'\012\212\112\312\052\252\152\352\032\232\132\332\072\272\172\372'
reversed=$reversed'\006\206\106\306\046\246\146\346\026\226\126\326\066\266\166\366'
reversed=$reversed'\016\216\116\316\056\256\156\356\036\236\136\336\076\276\176\376'
reversed=$reversed'\001\201\101\301\041\241\141\341\021\221\121\321\061\261\161\361'
reversed=$reversed'\011\211\111\311\051\251\151\351\031\231\131\331\071\271\171\371'
reversed=$reversed'\005\205\105\305\045\245\145\345\025\225\125\325\065\265\165\365'
reversed=$reversed'\015\215\115\315\055\255\155\355\035\235\135\335\075\275\175\375'
reversed=$reversed'\003\203\103\303\043\243\143\343\023\223\123\323\063\263\163\363'
reversed=$reversed'\013\213\113\313\053\253\153\353\033\233\133\333\073\273\173\373'
reversed=$reversed'\007\207\107\307\047\247\147\347\027\227\127\327\067\267\167\367'
reversed=$reversed'\017\217\117\317\057\257\157\357\037\237\137\337\077\277\177\377'

# Whether a path below a data folder is a set's: by depth, not by name.
is_set() {
    set -f
    IFS=/
    # shellcheck disable=SC2086
    set -- $1
    unset IFS
    set +f
    [ "$3" = backups ] || return 1
    case $#$4 in 4*) return 0 ;; 5.*) return 0 ;; *) return 1 ;; esac
}

# A line that is gone makes printf fail, and this end.
sums() {
    while IFS= read -r below; do
        is_set "$below" || continue
        file=$1/$below
        may=no
        [ -r "$file" ] && may=yes
        sum=$(
            as_allowed "$may" cat -- "$file" </dev/null 2>/dev/null |
                tr '\000-\377' "$reversed" | cksum
        )
        printf '\000sum %s %s\000' "$sum" "$file" || exit 1
    done
}

if [ "$task" = list ]; then
    exec 3>&1
    look yes "$@"
    case $sudo$errors in auto*ermission\ denied*) look no "$@" ;; esac
else
    for folder in "$@"; do
        # A name that holds a line end is left out here; the list has it, so it is told.
        as_allowed "$may_list" find -L "$folder" -mindepth 4 -maxdepth 5 -type f \
            -path '*/backups/*' -name '*-Data.db' ! -path "*$nl*" -printf '%P\n' \
            2>/dev/null </dev/null | sums "$folder" || exit 1
    done
fi
say end ok
