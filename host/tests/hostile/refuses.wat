;; Refuses its configuration by returning 0.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (call $say (str "refused") (i32.const 1))
    (i32.const 0))
