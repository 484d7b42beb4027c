;; Data behind the end of its memory.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (data (i32.const 131072) "x")
