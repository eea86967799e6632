from django.urls import path

from shop.kernel.auth import views

urlpatterns = [
    path("auth/register", views.RegisterView.as_view()),
    path("auth/guest", views.GuestView.as_view()),
    path("auth/token", views.TokenView.as_view()),
    path("auth/token/refresh", views.RefreshView.as_view()),
    path("auth/logout", views.LogoutView.as_view()),
    path("auth/me", views.MeView.as_view()),
    path(".well-known/jwks.json", views.JwksView.as_view()),
]
