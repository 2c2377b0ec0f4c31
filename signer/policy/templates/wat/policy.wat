;; Signs attestations, and nothing else.
;;
;; Without a JSON reader, a policy looks for bytes. That is sound here, for three reasons: facts have one spelling
;; (fields in alphabetical order, no spaces); a quotation mark inside of a text stands behind a backslash, so `"duty":{`
;; is the field and nothing that somebody wrote into a payload; and a duty holds texts alone, so its first `}` is its end.
(module
  (memory (export "memory") 5)

  (data (i32.const 16) "{\"verdict\":\"allow\"}")
  (data (i32.const 64) "{\"verdict\":\"deny\",\"code\":\"TYPE_NOT_LISTED\",\"message\":\"this key signs attestations only\"}")

  (global $facts i32 (i32.const 1024)) ;; where they are written: all memory from here on

  ;; Room for the facts; 0, and so a denial, where there is none.
  (func (export "holdfast_allocate") (param $bytes i32) (result i32)
    (select
      (global.get $facts)
      (i32.const 0)
      (i32.le_u (local.get $bytes) (i32.const 0x4fb00)))) ;; 5 pages, less what is before, and 256 to read beyond the end

  (func (export "holdfast_evaluate_1") (param $at i32) (param $bytes i32) (result i64)
    (if (call $is_attestation (local.get $at) (i32.add (local.get $at) (local.get $bytes)))
      (then (return (call $place (i32.const 16) (i32.const 19)))))
    (call $place (i32.const 64) (i32.const 88)))

  ;; A text's address in the upper half, its length in the lower one.
  (func $place (param $at i32) (param $bytes i32) (result i64)
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
      (i64.extend_i32_u (local.get $bytes))))

  (func $is_attestation (param $at i32) (param $end i32) (result i32)
    (local $byte i32)
    ;; Facts of version 1 end in `"version":1}`: eight bytes and four, the lowest first.
    (if (i64.ne (i64.load (i32.sub (local.get $end) (i32.const 12))) (i64.const 0x6e6f697372657622))
      (then (return (i32.const 0))))
    (if (i32.ne (i32.load (i32.sub (local.get $end) (i32.const 4))) (i32.const 0x7d313a22))
      (then (return (i32.const 0))))
    ;; `"duty":{`
    (local.set $at (call $behind (local.get $at) (local.get $end) (i64.const 0x7b3a227974756422)))
    (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
    (block $found_end
      (local.set $end (local.get $at))
      (loop $next
        (local.set $byte (i32.load8_u (local.get $end)))
        (br_if $found_end (i32.eq (local.get $byte) (i32.const 0x7d))) ;; `}`
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    ;; `"type":"`
    (local.set $at (call $behind (local.get $at) (local.get $end) (i64.const 0x223a226570797422)))
    (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
    ;; `ATTESTAT` and `ION"`
    (i32.and
      (i64.eq (i64.load (local.get $at)) (i64.const 0x5441545345545441))
      (i32.eq (i32.load offset=8 (local.get $at)) (i32.const 0x224e4f49))))

  ;; The address behind the first place of these eight bytes; 0 where there is none.
  (func $behind (param $at i32) (param $end i32) (param $wanted i64) (result i32)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (if (i64.eq (i64.load (local.get $at)) (local.get $wanted))
        (then (return (i32.add (local.get $at) (i32.const 8)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))
    (unreachable)))
