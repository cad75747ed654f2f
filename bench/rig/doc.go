// Package rig starts, on this machine, what is measured: the ackbox binary as a process of its own, a database and a Redis. The
// commands that measure (bench/cmd) share it.
package rig
