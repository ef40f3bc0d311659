<?php
namespace App;

use Illuminate\Foundation\Exceptions\Handler;

class ExceptionHandler extends Handler
{
}
