<?php
// A release that slipped through its tests: a share of its requests dies.
// DEMO_ERROR_PERCENT (20) and DEMO_SLEEP_MS (0) come from the FPM pool's env[].
return [
    'name' => 'v3-broken',
    'colour' => '#c8362b',
    'fault' => static function (): void {
        $percent = (float) (getenv('DEMO_ERROR_PERCENT') ?: 20);
        usleep((int) (getenv('DEMO_SLEEP_MS') ?: 0) * 1000);
        if (random_int(0, 9999) < $percent * 100) {
            throw new RuntimeException('notes: no such column: mood');
        }
    },
];
