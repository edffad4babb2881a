mod damage;
mod full;
mod small;
