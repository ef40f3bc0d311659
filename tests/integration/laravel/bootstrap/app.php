<?php
// One folder per release; sessions, uploads and the database are shared (LARAVEL_STORAGE).
require_once __DIR__ . '/../app/HttpKernel.php';
require_once __DIR__ . '/../app/ExceptionHandler.php';
require_once __DIR__ . '/../app/RouteServiceProvider.php';

$app = new Illuminate\Foundation\Application(dirname(__DIR__));
$app->useStoragePath(getenv('LARAVEL_STORAGE'));
$app->singleton(Illuminate\Contracts\Http\Kernel::class, App\HttpKernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, App\ExceptionHandler::class);
return $app;
