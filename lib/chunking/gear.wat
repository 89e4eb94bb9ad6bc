;; The inner loop of cutting: index.ts says what it computes. Four bytes a step, as the sums of three of them do not wait for the
;; hash before; half again to three times as fast as JavaScript. gear-module.ts holds this module assembled; a test assembles it
;; again and compares.
;; Memory: the gear table at 0 (256 numbers of 32 bits), the bytes from 65536 on.
(module
  (memory (import "gear" "memory") 1)
  ;; The first p, from < p < to, where hash(p) has none of the bits of mask; or -1. hash: that at from. Offsets in the memory.
  (func (export "firstCut") (param $from i32) (param $to i32) (param $mask i32) (param $hash i32) (result i32)
    (local $at i32) (local $last i32) (local $g0 i32) (local $g1 i32) (local $g2 i32) (local $g3 i32) (local $h1 i32) (local $h2 i32) (local $h3 i32)
    (local.set $at (local.get $from))
    (local.set $last (i32.sub (local.get $to) (i32.const 5)))
    (block $done
      (loop $four
        (br_if $done (i32.gt_s (local.get $at) (local.get $last)))
        (local.set $g0 (i32.load (i32.shl (i32.load8_u offset=0 (local.get $at)) (i32.const 2))))
        (local.set $g1 (i32.load (i32.shl (i32.load8_u offset=1 (local.get $at)) (i32.const 2))))
        (local.set $g2 (i32.load (i32.shl (i32.load8_u offset=2 (local.get $at)) (i32.const 2))))
        (local.set $g3 (i32.load (i32.shl (i32.load8_u offset=3 (local.get $at)) (i32.const 2))))
        (local.set $h1 (i32.add (i32.shl (local.get $hash) (i32.const 1)) (local.get $g0)))
        (local.set $g1 (i32.add (i32.shl (local.get $g0) (i32.const 1)) (local.get $g1)))
        (local.set $h2 (i32.add (i32.shl (local.get $hash) (i32.const 2)) (local.get $g1)))
        (local.set $g2 (i32.add (i32.shl (local.get $g1) (i32.const 1)) (local.get $g2)))
        (local.set $h3 (i32.add (i32.shl (local.get $hash) (i32.const 3)) (local.get $g2)))
        (local.set $g3 (i32.add (i32.shl (local.get $g2) (i32.const 1)) (local.get $g3)))
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 4)) (local.get $g3)))
        (if (i32.eqz (i32.and (local.get $h1) (local.get $mask))) (then (return (i32.add (local.get $at) (i32.const 1)))))
        (if (i32.eqz (i32.and (local.get $h2) (local.get $mask))) (then (return (i32.add (local.get $at) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $h3) (local.get $mask))) (then (return (i32.add (local.get $at) (i32.const 3)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask))) (then (return (i32.add (local.get $at) (i32.const 4)))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $four)))
    (block $end
      (loop $one
        (br_if $end (i32.ge_s (i32.add (local.get $at) (i32.const 1)) (local.get $to)))
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.load8_u (local.get $at)) (i32.const 2)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask))) (then (return (local.get $at))))
        (br $one)))
    (i32.const -1)))
