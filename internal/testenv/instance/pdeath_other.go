//go:build !linux

package instance

import "syscall"

// Only Linux has a parent-death signal; elsewhere a killed test process leaves its servers to be stopped by hand.
func dieWithParent(*syscall.SysProcAttr) {}
