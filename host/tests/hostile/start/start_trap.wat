;; A command that dies.
  (func (export "proxy_abi_version_0_2_1"))
  (export "malloc" (func $allocate))
  (func (export "_start") unreachable)
