//go:build race

package testenv

// raceEnabled says that the tests run with the race detector; the ackbox binary is then built with it too.
const raceEnabled = true
