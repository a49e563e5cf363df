package tsc

import "testing"

func TestMeasuresTheSameTwice(t *testing.T) {
	first, err := KHz()
	if !present {
		if err == nil {
			t.Fatal("there is no counter to measure")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	second, err := KHz()
	if err != nil {
		t.Fatal(err)
	}
	if first < 100_000 || first > 20_000_000 {
		t.Errorf("%d kHz", first)
	}
	// A guest's clock is as wrong as this: a part in a thousand would be a minute and a half a day.
	if difference := first - second; difference > first/1000 || difference < -first/1000 {
		t.Errorf("%d kHz, then %d", first, second)
	}
}
