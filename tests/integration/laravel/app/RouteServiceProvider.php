<?php
namespace App;

use Illuminate\Foundation\Support\Providers\RouteServiceProvider as Framework;
use Illuminate\Support\Facades\Route;

class RouteServiceProvider extends Framework
{
    public function boot()
    {
        $this->routes(fn () => Route::middleware('web')->group(base_path('routes/web.php')));
    }
}
