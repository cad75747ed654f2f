// Package verify proves, from outside, what Ackbox promises. Actors use a deployment as careful clients do and record
// everything that they ask and are told, together with the faults of the time, as one history. Check compares that history
// with what the store holds in the end and names every broken promise.
//
// The package knows the wire contract and nothing of the server. Who wants to check another client's traffic records
// Events of their own.
package verify
