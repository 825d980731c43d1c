"""The fixed part of the step program: POSIX sh for dash, busybox ash and bash.

It stays in the pod's spec for ever, so it is kept short; the reasons are here.

- Every variable and function begins with `_`: one that is in the container's environment would
  otherwise be changed for the steps, and `command -v` would find a function instead of a tool.
- Steps run in the background and are waited for, because a shell runs its traps only between
  foreground commands; the trap itself ends the step, so that a signal just before the wait
  cannot be missed.
- A signal between the start of a sleep and the wait for it is noticed when the sleep has ended:
  what may be long is slept a second at a time.
- The guard ends the step in time. It is called off with ALRM, for which the shell has no trap: a
  freshly forked shell still has its parent's handlers and would swallow TERM. For the same
  reason its sleep is ended with KILL. Its exit code says whether it had to act.
- Pipes have names, so that each stream has a reader of its own and the step's exit code is that
  of `wait`. A reader keeps the first blocks and lets wc count the file and the rest: `head -c` of
  busybox swallows more than it prints. wc writes its last line when all is counted.
- After TERM, whoever of the session still holds a pipe has 2 s to end in order.
- A process that left the session may keep a pipe open. It is found by the pipe, not by name; the
  readers have it as descriptor 0 and are spared. What cannot be ended costs 3.5 s, not more.
- Where nobody else holds a pipe, its reader is only slow: on a busy node a pod without requests
  gets next to no CPU, and a disk may stand still. It has 20 s, or until the deadline.
- What runs here counts against the pod's memory limit. Where that is not enough the kernel takes
  whoever has the highest score: that is us, not the app. Anybody may raise his own score.
- What a step writes counts against the pod's ephemeral storage, and a pod that has used that up is
  evicted: so no file of a step may become larger than `_F` blocks of 512 bytes.
- A result without output is all numbers and goes into the termination message, too: then nobody
  has to ask for the log. Output never does: whoever may read pods could read it there, not only
  those who may read logs, and it would stay in the cluster's database. What is longer than `_T`
  (-1 once there was output) would be cut where many containers share the message's room.
- /dev/shm is the last place that outputs are kept in: it is small, and the app's as well.
- Nothing is written to stderr: the log merges both streams without keeping their order.
- No `$$` and no `$(NAME)`: Kubernetes would expand them (runner.program.build quotes those of the
  steps).
"""

FIXED = r"""# podmedic step program. What it prints is explained in docs/log-transport.md.
exec 2>/dev/null
echo 1000 >/proc/self/oom_score_adj
_q='' _p='' _h=- _gz=0 _enc=0 _put='' _sum='' _own='' _end=no _s=0 _r=0 _sent=0 _ran=0 _late=0
_a='' _T=2600
trap '_q=signal; [ -z "$_p" ] || { _hit TERM; _nap 30; _hit KILL; }' TERM INT HUP
_has() { command -v "$1" >/dev/null; }
_now() { # 1/100 s
  read -r _t _z </proc/uptime || _t=0.00
  _t=$((${_t%.*} * 100 + 1${_t#*.} - 100))
}
_nap() { # 1/100 s
  sleep "$(($1 / 100)).$(($1 / 10 % 10))$(($1 % 10))" & wait $!
  [ $? != 1 ] || { sleep $((($1 + 99) / 100)) & wait $!; }
  [ -z "$_q" ] || kill -9 $!
}
_line() { # kind, numbers
  [ ${#_a} -gt $_T ] || _a="$_a
$*"
  _k=$1 _c=$(((0x$_x + _s * 32 + ${#1}) % _M)); shift
  for _i; do _c=$(((_c * 1000003 + _i) % _M)); done
  echo "@podmedic $_N $_x $_s $_k $* $_c $_h ;"
  _r=$(((_r * 31 + _c) % _M)) _s=$((_s + 1)) _k="podmedic nonce=$_N exec=$_x"
  _k="$_k steps=$_ran/$_K frames=$_s bytes=$_sent sum=$_r ended=$_end"
  [ "$_end" = no ] || [ ${#_a} -gt $_T ] || _k=$_k$_a
  echo "$_k" >"$_L"
}
_take() { # o or e: keep the first blocks, count the rest
  exec >"$_w/$1.n" <"$_w/$1.p"
  dd bs=4096 count="$_b" iflag=fullblock of="$_w/$1"; echo $?; exec wc -c "$_w/$1" -
}
_taken() { # o or e: was all of it read?
  { read -r _bad; read -r _kept _z; read -r _z; read -r _all _z; } <"$_w/$1.n" && [ "$_all" ]
}
_all_taken() { _taken o && _taken e; }
_hit() { kill -"$1" -"$_p" || kill -"$1" "$_p"; }
_hunt() { # who left the session and still holds a pipe
  _why=7
  for _i in /proc/[0-9]*/fd/[1-9]*; do
    [ "$_i" -ef "$_w/o.p" ] || [ "$_i" -ef "$_w/e.p" ] || continue
    _why=8 _i=${_i#/proc/}; kill -9 "${_i%%/*}"
  done
}
_guard() { # 1/100 s to TERM, then to KILL
  trap '[ $! = "$_p" ] || kill -9 $!; wait; exit $_late' ALRM
  _nap "$1"; _late=9; _hit TERM; _nap "$2"; _hit KILL; exit 8
}
_data() { # out or err, o or e
  _taken "$2" || { _bad=$_why _kept=$(wc -c <"$_w/$2"); _kept=${_kept:-0} _all=$_kept; }
  _f=0 _z=$2 _size=$_kept
  if [ "$_kept" -gt 0 ]; then
    _T=-1 _f=$_enc _h=$($_sum <"$_w/$2"); _h=${_h%% *} _h=${_h:--}
    if [ $_gz = 4 ] && { [ "$_h" = - ] || [ "$_kept" -gt 400 ]; }; then
      if gzip -c <"$_w/$2" >"$_w/z"; then _f=$((_enc + 4)) _z=z; fi
      [ "$_kept" -lt 65536 ] || _size=$(wc -c <"$_w/$_z")
    fi
    _size=$((_size * (_enc * 5 - 1) / 3))
    if [ $_size -lt "$_B" ]; then _B=$((_B - _size)); else _f=8 _kept=0 _h=-; fi
  fi
  _sent=$((_sent + _kept))
  _line "$1" "$_n" "$_m" $_f "$_bad" "$_kept" "$_all"
  case $_f in [1256]) $_put <"$_w/$_z" ;; esac
  _h=-
}
_try() { # command
  for _i in o e z o.n e.n; do true >"$_w/$_i"; done
  _now; _t1=$_t _st=0 _cut=1 _max=$_lim _g=200
  [ $((_D - _t)) -gt "$_lim" ] || _cut=2 _max=$((_D - _t)) _g=$_G
  _take o & _o=$!
  _take e & _e=$!
  { ulimit -f "$_F" 2>/dev/null; exec $_own "$@"; } </dev/null >"$_w/o.p" 2>"$_w/e.p" & _p=$!
  _guard "$_max" "$_g" >/dev/null & _d=$!
  [ -z "$_q" ] || _hit KILL
  wait "$_p"; _rc=$?
  kill -ALRM "$_d"; wait "$_d"
  case $? in 8) _st=$_cut _g=0 ;; 9) _st=$_cut ;; *) _g=0 ;; esac
  _now
  while [ "$_g" -gt 0 ] && ! _all_taken; do _nap 10; _g=$((_g - 10)); done
  [ "$_q" != signal ] || { wait "$_p"; _st=3; }
  kill -KILL -"$_p"; _p=''
  _line exit "$_n" "$_m" $_st $_rc $((_t1 - _t0)) $((_t - _t1))
  _j=2 _g=0 _why=9 _max=$((_D - _t))
  until _all_taken; do
    kill -0 "$_o" || kill -0 "$_e" || { _why=9; break; }
    [ $_j = 2 ] || _hunt
    [ $_g -lt 351 ] || { [ "$_why$_q" = 7 ] && [ $_g -lt $_max ] && [ $_g -lt 2000 ]; } || break
    true <>"$_w/o.p" 3<>"$_w/e.p"
    _nap $_j; _g=$((_g + _j)) _j=$((_j * 4)); [ $_j -lt 99 ] || _j=99
  done
  kill -9 "$_o" "$_e"
  for _i in "$_o" "$_e"; do wait "$_i"; [ $_why$? -lt 9129 ] || _why=6; done
  [ $_st != 2 ] || _q=${_q:-deadline}
  _data out o; _data err e
}
_step() { # index, 1/100 s of time-out and back-off, attempts, blocks, name, tools, command
  _n=$1 _lim=$2 _back=$3 _tries=$4 _b=$5 PODMEDIC_STEP=$6 _z=$7 _m=0 _i=0
  shift 7
  export PODMEDIC_STEP
  for _j in $_z; do
    _has "$_j" || { _line skip-tool "$_n" $_i; return; }
    _i=$((_i + 1))
  done
  while [ "$_w" ]; do
    _now; [ "$_t" -lt "$_D" ] || _q=${_q:-deadline}
    [ -z "$_q" ] || break
    _m=$((_m + 1)); _try "$@"
    if [ $_st$_rc = 00 ] || [ $_m = "$_tries" ]; then break; fi
    _now; if [ "$_q" ] || [ $((_t + _back)) -ge "$_D" ]; then break; fi
    _i=$_back
    while [ "$_i" -gt 0 ] && [ -z "$_q" ]; do
      _nap $((_i < 100 ? _i : 100)); _i=$((_i - 100))
    done
    _back=$((_back * 2)); [ $_back -lt 3000 ] || _back=3000
  done
  if [ $_m = 0 ]; then _line "skip-${_q:-nowhere}" "$_n"; else _ran=$((_ran + 1)); fi
}
_now; _t0=$_t _D=$((_t + _D)) _M=2147483647
read -r _x </proc/sys/kernel/random/uuid || _x=$_t
_x=${_x%%-*}
_has setsid && _own='setsid --'
_has gzip && _gz=4
if _has sha256sum; then _sum=sha256sum; elif _has cksum; then _sum='cksum'; fi
if base64 -w 4000 </dev/null; then _enc=1 _put='base64 -w 4000'
elif _has base64; then _enc=1 _put=base64
elif _has od; then _enc=2 _put='od -An -v -tx1'; fi
for _w in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm; do
  _w=$_w/podmedic-$_x
  mkdir -m 700 "$_w" && { mkfifo "$_w/o.p" "$_w/e.p" && break; rmdir "$_w"; }
  _w=''
done
for _i in dd wc sleep; do _has $_i || _w=''; done
_line start 1 "$_K" $_enc $_gz ${#_sum} ${#_own}
"""

# The runtime loses the end of a log whose container ends right after writing much of it
# (docs/decisions/kubernetes-adapter.md, "Surprises"): then live a moment longer.
LAST = r"""_end=${_q:-end}; _line "end${_q:+-$_q}" $_ran $_sent $_r; rm -rf "$_w"
[ $_sent -lt 4096 ] || sleep .3 || sleep 1
exit 0
"""
