<?php
// Compiled per release: two releases may have different views of one name.
return ['paths' => [base_path('views')], 'compiled' => storage_path('views-' . basename(dirname(__DIR__)))];
