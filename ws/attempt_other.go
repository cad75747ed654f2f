//go:build !unix

package ws

import (
	"net"
	"syscall"
)

// rawOf is nil: everything is written by flush.
func rawOf(net.Conn) syscall.RawConn { return nil }

func (a *attempt) write(uintptr) bool { return true }
