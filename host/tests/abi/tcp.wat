;; A network filter. The first byte of what it sees says what it does: P pauses, X and Y close one side or the other, R
;; replaces everything, A appends, E writes to the client before the server has said anything, ! dies. Configured with one byte, it stops each new connection; with two, a timer lets the last
;; one go on.
(global $stops (mut i32) (i32.const 0))
(global $last (mut i32) (i32.const 0))
(func (export "proxy_abi_version_0_2_1"))
(func (export "proxy_on_memory_allocate") (param i32) (result i32) (call $allocate (local.get 0)))
(func (export "proxy_on_context_create") (param i32 i32))
(func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
  (global.set $stops (i32.ne (local.get $size) (i32.const 0)))
  (if (i32.eq (local.get $size) (i32.const 2)) (then
    (call $say (str "timer") (call $proxy_set_tick_period_milliseconds (i32.const 50)))))
  (i32.const 1))
(func (export "proxy_on_tick") (param i32)
  (if (global.get $last) (then
    (drop (call $proxy_set_effective_context (global.get $last)))
    (global.set $last (i32.const 0))
    (call $say (str "continue") (call $proxy_continue_stream (i32.const 2))))))

(func (export "proxy_on_new_connection") (param $context i32) (result i32)
  (global.set $last (local.get $context))
  (call $say (str "new") (call $proxy_set_property (str "seen") (str "yes")))
  (global.get $stops))

(func (export "proxy_on_downstream_data") (param $context i32) (param $size i32) (param $end i32) (result i32)
  (call $say (str "down") (i32.add (i32.mul (local.get $size) (i32.const 10)) (local.get $end)))
  (call $obey (i32.const 2) (local.get $size)))
(func (export "proxy_on_upstream_data") (param $context i32) (param $size i32) (param $end i32) (result i32)
  (call $say (str "up") (i32.add (i32.mul (local.get $size) (i32.const 10)) (local.get $end)))
  (call $obey (i32.const 3) (local.get $size)))

(func $obey (param $buffer i32) (param $size i32) (result i32)
  (local $word i32)
  (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
  (drop (call $proxy_get_buffer_bytes (local.get $buffer) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 12)))
  (local.set $word (i32.load8_u (i32.load (i32.const 8))))
  (if (i32.eq (local.get $word) (i32.const 80)) (then (return (i32.const 1)))) ;; P
  (if (i32.eq (local.get $word) (i32.const 88)) ;; X
    (then (call $say (str "close 2") (call $proxy_close_stream (i32.const 2)))))
  (if (i32.eq (local.get $word) (i32.const 89)) ;; Y
    (then (call $say (str "close 3") (call $proxy_close_stream (i32.const 3)))))
  (if (i32.eq (local.get $word) (i32.const 82)) ;; R
    (then (call $say (str "replace")
      (call $proxy_set_buffer_bytes (local.get $buffer) (i32.const 0) (local.get $size) (str "replaced")))))
  (if (i32.eq (local.get $word) (i32.const 65)) ;; A
    (then (call $say (str "append")
      (call $proxy_set_buffer_bytes (local.get $buffer) (local.get $size) (i32.const 0) (str " and more")))))
  (if (i32.eq (local.get $word) (i32.const 69)) ;; E
    (then (call $say (str "early")
      (call $proxy_set_buffer_bytes (i32.const 3) (i32.const 0) (i32.const 0) (str "hello")))))
  (if (i32.eq (local.get $word) (i32.const 33)) (then unreachable)) ;; !
  (i32.const 0))

(func (export "proxy_on_downstream_connection_close") (param $context i32) (param $by i32)
  (call $say (str "down closed") (local.get $by)))
(func (export "proxy_on_upstream_connection_close") (param $context i32) (param $by i32)
  (call $say (str "up closed") (local.get $by)))
(func (export "proxy_on_done") (param i32) (result i32) (call $say (str "done") (i32.const 0)) (i32.const 1))
(func (export "proxy_on_log") (param i32) (call $say (str "log") (i32.const 0)))
(func (export "proxy_on_delete") (param i32) (call $say (str "delete") (i32.const 0)))
