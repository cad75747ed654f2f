// Package chaos breaks a running deployment on purpose and lets package verify judge what its clients saw.
//
// It starts real processes on loopback (ackbox nodes, MariaDB, Redis, proxies between them where a fault needs one), puts
// the load of full clients on them, and goes through cycles: at a random moment a fault is injected, healed, and recovered
// from. After every few cycles the load rests, every device pulls what it has not, and the checker reads the history, in
// which the faults stand too. A violation ends the run and keeps the history and all logs.
//
//	make chaos CHAOSFLAGS='--fault kill-node --cycles 300 --seed 1'
//
// The moments come from the seed; the scheduling of processes does not, so a seed repeats a run's plan, not its history.
package chaos
