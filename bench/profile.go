package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

// profile takes a CPU profile of three seconds, into path.
func (c *caddy) profile(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.admin+"/debug/pprof/profile?seconds=3", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("taking profile: %w", err)
	}
	defer response.Body.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, response.Body); err != nil {
		file.Close()
		return fmt.Errorf("taking profile: %w", err)
	}
	return file.Close()
}
