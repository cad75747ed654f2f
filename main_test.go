package main

import (
	"testing"

	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
