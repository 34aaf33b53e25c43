package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// result is what was measured.
type result struct {
	CPU      string   `json:"cpu"`
	Cores    int      `json:"cores"`
	Go       string   `json:"go"`
	Requests int      `json:"requests_per_block"`
	Rounds   int      `json:"rounds"`
	Plain    figures  `json:"plain"`
	Measured []figure `json:"measured"`
	Memory   []memory `json:"memory_of_distinct_tokens"`
}

// figures are medians over blocks.
type figures struct {
	CPU  float64 `json:"cpu_microseconds_per_request"`
	Rate float64 `json:"requests_per_second"`
}

// figure is what came out for a scenario.
type figure struct {
	Name string `json:"name"`
	What string `json:"what"`
	figures
	// Ratio is the median, over the rounds, of the CPU per request against
	// plain Caddy's; Low and High are its quartiles.
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"ratio_low"`
	High  float64 `json:"ratio_high"`
	Goal  float64 `json:"goal,omitempty"`
	Met   *bool   `json:"met,omitempty"`
}

func newResult(o options, plain *runner, measured []*runner, seen []memory) result {
	result := result{
		CPU: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(),
		Requests: o.requests, Rounds: o.rounds, Plain: medians(plain.costs), Memory: seen,
	}
	for _, r := range measured {
		f := figure{
			Name: r.name, What: r.what, figures: medians(r.costs), Goal: r.goal,
			Ratio: quantile(r.ratios, 0.5), Low: quantile(r.ratios, 0.25), High: quantile(r.ratios, 0.75),
		}
		if r.goal > 0 {
			met := f.Ratio <= r.goal
			f.Met = &met
		}
		result.Measured = append(result.Measured, f)
	}
	return result
}

func medians(costs []cost) figures {
	var cpu, rate []float64
	for _, c := range costs {
		cpu = append(cpu, float64(c.cpu.Nanoseconds())/1000)
		rate = append(rate, c.rate)
	}
	return figures{CPU: quantile(cpu, 0.5), Rate: quantile(rate, 0.5)}
}

// quantile returns the q-th quantile of values, of which there is one at
// least, between neighbours in proportion.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// processor returns the name of the CPU, "" where it cannot be found.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // absent beyond Linux
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (r result) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r result) writeTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d cores, %s; %d rounds of %d requests\n\n", r.CPU, r.Cores, r.Go, r.Rounds, r.Requests)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tCPU/request\tagainst plain\tquartiles\tgoal\t\trequests/s\t")
	fmt.Fprintf(t, "plain\t%.1f us\t1\t\t\t\t%.0f\treverse_proxy alone\n", r.Plain.CPU, r.Plain.Rate)
	for _, f := range r.Measured {
		goal, met := "", ""
		if f.Met != nil {
			goal, met = fmt.Sprintf("<= %.2f", f.Goal), "met"
			if !*f.Met {
				met = "MISSED"
			}
		}
		fmt.Fprintf(t, "%s\t%.1f us\t%.3f\t%.3f-%.3f\t%s\t%s\t%.0f\t%s\n", f.Name, f.CPU, f.Ratio, f.Low, f.High, goal, met, f.Rate, f.What)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nResident memory of a gate after distinct access tokens:")
	for _, m := range r.Memory {
		fmt.Fprintf(w, "%9d  %6.1f MiB\n", m.Tokens, float64(m.Bytes)/(1<<20))
	}
	return nil
}
