<?php
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Cookie;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\Facades\Storage;

Route::get('/', function (Request $request) {
    $request->session()->increment('visits');
    return view('home', ['notes' => DB::table('notes')->orderBy('id')->pluck('text')]);
})->name('home');

Route::post('/notes', function (Request $request) {
    $fields = $request->validate(['text' => 'required|max:200']);
    DB::table('notes')->insert($fields);
    return redirect()->route('home')->with('status', 'Noted.');
});

Route::get('/notes/{page}', function (Request $request, int $page) {
    return response()->json(['notes' => DB::table('notes')->pluck('text'), 'page' => $page,
                             'query' => $request->query(), 'release' => config('app.release')]);
});

Route::post('/login', function (Request $request) {
    $request->session()->regenerate();
    $request->session()->put('user', $request->input('user'));
    Cookie::queue('seen', 'by ' . $request->input('user'), 60);
    return redirect()->intended('/me');
});

Route::get('/me', function (Request $request) {
    abort_unless($request->session()->has('user'), 401);
    return ['user' => $request->session()->get('user'), 'visits' => $request->session()->get('visits'),
            'seen' => $request->cookie('seen'), 'ip' => $request->ip(), 'secure' => $request->isSecure(),
            'url' => $request->fullUrl(), 'home' => route('home'), 'release' => config('app.release')];
});

Route::post('/upload', function (Request $request) {
    $file = $request->file('picture');
    $file->storeAs('', $file->getClientOriginalName());
    return response()->json(['name' => $file->getClientOriginalName(), 'bytes' => $file->getSize(),
                             'sha256' => hash_file('sha256', $file->getRealPath())], 201);
});

Route::get('/download/{name}', fn (string $name) => Storage::download($name));

Route::get('/events', fn () => response()->stream(function () {
    for ($i = 0; $i < 3; ++$i) {
        echo "data: $i\n\n";
        @ob_flush();
        flush();
        usleep(300000);
    }
}, 200, ['Content-Type' => 'text/event-stream', 'X-Accel-Buffering' => 'no']));

Route::get('/boom', fn () => throw new RuntimeException('on purpose'));
