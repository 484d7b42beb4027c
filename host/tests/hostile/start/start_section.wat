;; Dies while it is instantiated.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func $dies unreachable)
  (start $dies)
