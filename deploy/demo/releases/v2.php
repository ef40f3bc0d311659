<?php
return ['name' => 'v2', 'colour' => '#1d9a53'];
