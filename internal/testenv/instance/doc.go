// Package instance starts real servers for tests and measurements: a private MariaDB or Redis in a directory and on a
// loopback port of its own.
//
// It knows nothing about package testing, so that a command can use it too. Everything it starts dies with the process
// that started it (also when that one is killed), and nothing it starts listens anywhere but on 127.0.0.1.
package instance
