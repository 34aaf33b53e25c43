//go:build !linux

package main

import (
	"errors"
	"time"
)

var errLinuxOnly = errors.New("the CPU time and memory of another process are read on Linux only")

func cpuTime(int) (time.Duration, error) { return 0, errLinuxOnly }

func resident(int) (int64, error) { return 0, errLinuxOnly }

func machineTime() (time.Duration, error) { return 0, errLinuxOnly }
