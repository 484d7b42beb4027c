;; A function that calls itself without end.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $say (str "entered") (i32.const 1))
    (call $deeper (i32.const 0)))
