package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time that a process has taken, in user and in
// kernel mode. It is the sum of utime and stime in /proc/<pid>/stat, read
// by the process's CPU clock, for these count in steps of 10 ms only.
func cpuTime(pid int) (time.Duration, error) {
	// The ID of a process's clock, as clock_getcpuclockid(3) makes it.
	const scheduled = 2
	clock := int32(^pid<<3 | scheduled)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("reading CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// resident returns how much memory of a process is in RAM, in bytes.
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("reading memory of process %d: no VmRSS", pid)
}

// machineTime returns the CPU time that all processes and the kernel have
// taken on all cores since the machine was started.
func machineTime() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("reading CPU time of the machine: %w", err)
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line)
	// user, nice, system, idle, iowait, irq, softirq, steal: proc(5)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("reading CPU time of the machine: %q", line)
	}
	var ticks int64
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading CPU time of the machine: %w", err)
		}
		if i != 3 && i != 4 { // idle
			ticks += n
		}
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on all of Go's platforms
	return time.Duration(ticks) * tick, nil
}
