//go:build linux || darwin

package main

import "syscall"

// diskSpace is the space, in bytes, that an ordinary user may still use of the file system of a folder, and its size.
func diskSpace(folder string) (free, size uint64, known bool) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		return 0, 0, false
	}
	block := uint64(fs.Bsize)
	return fs.Bavail * block, fs.Blocks * block, true
}
